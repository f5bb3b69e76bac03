"""What ComfyUI checks before it runs a prompt, and how a node's declared inputs meet the values given."""

from __future__ import annotations

import inspect
from typing import Any

from .node_api import Autogrow, Combo, ComfyNode, DynamicCombo

_NUMBERS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
Prompt = dict[str, dict[str, Any]]


def is_link(value: Any) -> bool:
    """Any list of a string and a number is a link; that is why a marker must be a string."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], (int, float))
    )


def declared(node: type[ComfyNode], given: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Category, type and options of each input; a dynamic combo brings those of the option chosen.

    One that is absent or has an unknown value is not there at all: neither required, checked nor passed on.
    """
    found: dict[str, tuple[str, str, dict[str, Any]]] = {}

    def collect(inputs: dict[str, dict[str, Any]], prefix: str) -> None:
        for category in ("required", "optional"):
            for own, (io_type, options) in inputs.get(category, {}).items():
                name = prefix + own
                if io_type == Autogrow.io_type:
                    grown(name, options["template"])
                    continue
                if io_type == DynamicCombo.io_type:
                    chosen = next((o for o in options["options"] if o["key"] == given.get(name)), None)
                    if chosen is None:
                        continue
                    collect(chosen["inputs"], f"{name}.")
                found[name] = (category, io_type, options)

    def grown(name: str, template: dict[str, Any]) -> None:
        (category, ((io_type, options),)) = next(
            (category, list(inputs.values())) for category, inputs in template["input"].items() if inputs
        )
        for number in range(template["max"]):
            needed = category == "required" and number < template["min"]
            found[f"{name}.{template['prefix']}{number}"] = (
                "required" if needed else "optional",
                io_type,
                options,
            )

    collect(node.INPUT_TYPES(), "")
    return found


def nested(node: type[ComfyNode], given: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values with those of dynamic inputs as dicts: `format.codec` becomes `format["codec"]`.

    What grows is a dict of the inputs that are there, an empty one where none is.
    """
    values = dict(values)
    growing = [
        name
        for inputs in node.INPUT_TYPES().values()
        for name, told in inputs.items()
        if told[0] == Autogrow.io_type
    ]
    result: dict[str, Any] = {name: {} for name in growing}
    for name, (_, io_type, _options) in declared(node, given).items():
        if name.partition(".")[0] in growing and name not in given:
            continue
        dynamic = io_type == DynamicCombo.io_type
        if dynamic or "." in name:
            *parents, own = name.split(".") + ([name.split(".")[-1]] if dynamic else [])
            place = result
            for parent in parents:
                place = place.setdefault(parent, {})
            place[own] = values.pop(name, None)
    return {**values, **result}


def validate(
    prompt: Prompt, nodes: dict[str, type[ComfyNode]], targets: list[str] | None = None
) -> tuple[list[str], dict[str, list[str]]]:
    """The output nodes that may run, and what is wrong with which node. Converts constants in place.

    With *targets* only these outputs, as where the interface queues a part of a graph.
    """
    for node_id, node in prompt.items():
        if node.get("class_type") not in nodes:
            return [], {node_id: [f"Node '{node.get('class_type')}' not found."]}
    outputs = [
        name
        for name, node in prompt.items()
        if nodes[node["class_type"]].SCHEMA.is_output_node and (targets is None or name in targets)
    ]
    if not outputs:
        return [], {"": ["Prompt has no outputs"]}
    errors: dict[str, list[str]] = {}
    sound: dict[str, bool] = {}

    def check(node_id: str, above: tuple[str, ...]) -> bool:
        if node_id in above:
            errors.setdefault(node_id, []).append("Dependency cycle detected")
            return False
        if node_id not in sound:
            try:
                wrong, below = _node_errors(node_id, prompt, nodes)
            except Exception as error:  # noqa: BLE001 - validate_inputs may raise anything
                wrong, below = [f"Exception when validating {'inner ' if above else ''}node: {error}"], []
            if wrong:
                errors[node_id] = wrong
            fine = [check(one, (*above, node_id)) for one in below]
            sound[node_id] = not wrong and all(fine)
        return sound[node_id]

    return [output for output in outputs if check(output, ())], errors


def _node_errors(
    node_id: str, prompt: Prompt, nodes: dict[str, type[ComfyNode]]
) -> tuple[list[str], list[str]]:
    """What is wrong with one node, and the nodes it is linked to."""
    inputs = prompt[node_id]["inputs"]
    node = nodes[prompt[node_id]["class_type"]]
    own_check = node.overrides("validate_inputs")
    arguments = inspect.getfullargspec(node.validate_inputs) if own_check else None
    taken = set(arguments.args) if arguments else set()
    takes_all = bool(arguments and arguments.varkw)
    wrong: list[str] = []
    below: list[str] = []
    for name, (category, io_type, options) in declared(node, inputs).items():
        if name not in inputs:
            if category == "required":
                wrong.append(f"Required input is missing: {name.split('.')[-1]}")
            continue
        value = inputs[name]
        if isinstance(value, list):
            problem = _link_error(name, value, io_type, prompt, nodes)
            if problem:
                wrong.append(problem)
            else:
                below.append(value[0])
            continue
        if isinstance(value, dict) and "__value__" in value:
            value = inputs[name] = value["__value__"]
        try:
            value = inputs[name] = _NUMBERS.get(io_type, lambda same: same)(value)
        except (TypeError, ValueError) as error:
            wrong.append(f"Failed to convert an input value to a {io_type} value: {name}, {value}, {error}")
            continue
        # An input that validate_inputs names is no longer checked by ComfyUI itself.
        if name not in taken and not takes_all:
            wrong += _constant_errors(name, value, io_type, options)
    if own_check:
        given = {
            name: None if is_link(value) else value
            for name, value in inputs.items()
            if name in declared(node, inputs) and (name in taken or takes_all)
        }
        # With dynamic inputs it is called with them as dicts, whether it asks for them or not.
        answer = node.locked(None).validate_inputs(**nested(node, inputs, given))
        if answer is not True:
            # Said once for every input that the function takes.
            wrong += [f"Custom validation failed for node: {name} - {answer}" for name in given]
    return wrong, below


def _link_error(
    name: str, link: list[Any], io_type: str, prompt: Prompt, nodes: dict[str, type[ComfyNode]]
) -> str | None:
    if len(link) != 2:
        return f"Bad linked input, must be a length-2 list of [node_id, slot_index]: {name}"
    received = nodes[prompt[link[0]]["class_type"]].SCHEMA.outputs[link[1]].io_type
    accepted = set(io_type.split(","))
    if "*" in (received, io_type) or accepted & set(received.split(",")):
        return None
    details = f"{name}, received_type({received}) mismatch input_type({io_type})"
    return f"Return type mismatch between linked nodes: {details}"


def _constant_errors(name: str, value: Any, io_type: str, options: dict[str, Any]) -> list[str]:
    if "min" in options and value < options["min"]:
        return [f"Value {value} smaller than min of {options['min']}: {name}"]
    if "max" in options and value > options["max"]:
        return [f"Value {value} bigger than max of {options['max']}: {name}"]
    if io_type == Combo.io_type and value not in options["options"]:
        return [f"Value not in list: {name}: {value!r} not in {options['options']}"]
    return []
