"""ComfyUI's real, compiled interface in a real browser, over a stand-in backend or over a real ComfyUI.

A test takes the fixture `page` (of fixtures.py) and runs once for each renderer:

    def test_a_question_stands_on_the_node(page):
        ray = page.add("RayTextToVideo", prompt="a fox")
        page.link(ray, "video", page.add("SaveVideo"), "video")
        page.run()
        page.see(".luma-ray-question")

What holds for every test is looked at after each: nothing was asked of another machine, and no error or deprecation
in the console is ours. `LUMA_RAY_SHOTS` names a folder for what `page.shot` sees, `COMFYUI_DIR` a checkout of ComfyUI
that takes the place of the stand-in.
"""

from __future__ import annotations
