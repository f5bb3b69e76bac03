"""A pack of nodes for the tests in a real ComfyUI: it looks at pictures, makes lists, and puts nodes into a graph.

And a route by which a test tells the pages what a server would.
"""

import json

from aiohttp import web
from server import PromptServer


@PromptServer.instance.routes.post("/probe/tell")
async def tell(request):
    told = await request.json()
    PromptServer.instance.send_sync(told["event"], told["data"])
    return web.Response()


class ProbeLook:
    """Says how many pictures it was given, and by which list; keeps none."""

    RETURN_TYPES = ()
    FUNCTION = "look"
    CATEGORY = "probe"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - as ComfyUI spells it
        return {"required": {"images": ("IMAGE",)}}

    def look(self, images):
        return {"ui": {"pictures": [len(images)]}, "result": ()}


class ProbeList:
    """A list of words."""

    RETURN_TYPES = ("STRING",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "give"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - as ComfyUI spells it
        return {"required": {"words": ("STRING", {"default": ""})}}

    def give(self, words):
        return (words.split(","),)


class ProbeExpand:
    """Puts a node into the graph while it runs, as loops do: its type and inputs as JSON, one output of it."""

    RETURN_TYPES = ("*",)
    FUNCTION = "expand"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - as ComfyUI spells it
        return {"required": {"node": ("STRING", {"default": ""}), "output": ("INT", {"default": 0})}}

    @classmethod
    def VALIDATE_INPUTS(cls, node):  # noqa: N802
        return True

    def expand(self, node, output):
        from comfy_execution.graph_utils import GraphBuilder

        builder, told = GraphBuilder(), json.loads(node)
        made = builder.node(told["class_type"], **told["inputs"])
        return {"result": (made.out(output),), "expand": builder.finalize()}


NODE_CLASS_MAPPINGS = {"ProbeLook": ProbeLook, "ProbeList": ProbeList, "ProbeExpand": ProbeExpand}
