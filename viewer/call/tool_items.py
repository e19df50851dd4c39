"""What tools were asked, and what they gave back: each of the API's tools as a person reads it."""

import shlex
from collections.abc import Callable, Iterable, Mapping

from reducer.fields import list_of, object_of, text_of

from .content import Content, joined, read_content, short
from .readable_json import blob_note, indented, is_data_url, readable, readable_text

Item = Mapping[str, object]

_NOT_TOLD = frozenset({"type", "id", "call_id", "status", "name", "namespace", "server_label"})
"""What every call has, and what is told beside the text."""


ANY_TOOL = "tool"
"""Whose output it is where the call is not known: such an output has no name of its own."""

_OUTPUTS_OF_ANY = frozenset({"function_call_output", "custom_tool_call_output"})


def tool_name(item: Item) -> str:
    """The tool that an item is a call or an output of: by its own name, or its item's type."""
    name = text_of(item, "name")
    space = text_of(item, "namespace") or text_of(item, "server_label")
    if name:
        return f"{space}.{name}" if space else name
    kind = text_of(item, "type") or ""
    if kind in _OUTPUTS_OF_ANY:
        return ANY_TOOL
    return kind.removesuffix("_output").removesuffix("_call") or ANY_TOOL


def read_call(item: Item) -> Content:
    """What a tool was asked to do. A tool that upstream runs itself has its results here, too."""
    kind = text_of(item, "type") or ""
    reader = _CALLS.get(kind)
    return reader(item) if reader else _rest(item)


def read_output(item: Item) -> Content:
    """What a tool gave back."""
    kind = text_of(item, "type") or ""
    reader = _OUTPUTS.get(kind)
    if reader:
        return reader(item)
    return _plain_output(item) if "output" in item else _rest(item)


def _rest(item: Item) -> Content:
    rest = {key: value for key, value in item.items() if key not in _NOT_TOLD}
    return Content(readable(rest) if rest else "")


def _function(item: Item) -> Content:
    return _given(item.get("arguments"))


def _custom(item: Item) -> Content:
    given = item.get("input")
    return Content(given) if isinstance(given, str) else _given(given)


def _given(arguments: object) -> Content:
    match arguments:
        case None:
            return Content()
        case str():
            return Content(readable_text(arguments))
        case _:
            return Content(readable(arguments))


def _local_shell(item: Item) -> Content:
    action = object_of(item, "action")
    command = list_of(action, "command")
    if command is None or not all(isinstance(word, str) for word in command):
        return _rest(item)
    where = text_of(action, "working_directory")
    notes = (f"in {short(where)}",) if where else ()
    return Content(shlex.join(map(str, command)), notes)


def _shell(item: Item) -> Content:
    commands = list_of(object_of(item, "action"), "commands")
    if commands is None:
        return _rest(item)
    return Content("\n".join(_text(command) for command in commands))


def _apply_patch(item: Item) -> Content:
    operation = object_of(item, "operation")
    kind, path = text_of(operation, "type"), text_of(operation, "path")
    if kind is None or path is None:
        return _rest(item)
    return Content("\n".join(filter(None, [f"{kind} {path}", text_of(operation, "diff")])))


def _web_search(item: Item) -> Content:
    action = object_of(item, "action")
    sources = list_of(action, "sources") or ()
    notes = tuple(f"found {short(url)}" for source in sources if (url := _url(source)))
    match action:
        case {"type": "open_page", "url": str(url)}:
            return Content(f"open {url}")
        case {"type": "find" | "find_in_page", "pattern": str(pattern)}:
            return Content(f"find {pattern} in {text_of(action, 'url') or 'the page'}")
        case {"queries": [_, *_] as queries}:
            return Content("\n".join(map(_text, queries)), notes)
        case {"query": str(query)}:
            return Content(query, notes)
        case _:
            return _rest(item)


def _url(source: object) -> str | None:
    return text_of(source, "url") if isinstance(source, dict) else None


def _file_search(item: Item) -> Content:
    queries = list_of(item, "queries")
    if queries is None:
        return _rest(item)
    return joined([Content("\n".join(map(_text, queries))), *_file_results(item)], "\n\n")


def _file_results(item: Item) -> Iterable[Content]:
    for result in list_of(item, "results") or ():
        if isinstance(result, dict):
            name = text_of(result, "filename") or text_of(result, "file_id") or "a file"
            yield Content(text_of(result, "text") or "", (f"found {short(name)}",))


def _computer(item: Item) -> Content:
    many = list_of(item, "actions")
    actions = many if many is not None else [item["action"]] if "action" in item else []
    checks = list_of(item, "pending_safety_checks") or ()
    notes = tuple(f"safety check: {short(_message(check))}" for check in checks)
    return Content("\n".join(map(_action, actions)), notes)


def _action(action: object) -> str:
    """One step at a computer, on a line: `click x=10 y=20`."""
    if not isinstance(action, dict):
        return _text(action)
    members = (f"{key}={_text(value)}" for key, value in action.items() if key != "type")
    return " ".join([text_of(action, "type") or "?", *members])


def _message(check: object) -> str:
    match check:
        case {"message": str(what)} | {"code": str(what)}:
            return what
        case _:
            return _text(check)


def _code_interpreter(item: Item) -> Content:
    outputs = list_of(item, "outputs") or ()
    return joined([Content(text_of(item, "code") or ""), *map(_code_output, outputs)], "\n\n")


def _code_output(output: object) -> Content:
    match output:
        case {"type": "logs", "logs": str(logs)}:
            return Content(logs)
        case {"type": "image", "url": str(url)}:
            is_whole = is_data_url(url)
            return Content(
                notes=(blob_note("image", url) if is_whole else f"image at {short(url)}",)
            )
        case _:
            return Content(indented(output))


def _image_generation(item: Item) -> Content:
    result = text_of(item, "result")
    kind = text_of(item, "output_format")
    what = f"image, {short(kind)}" if kind else "image"
    notes = (blob_note(what, result),) if result else ()
    return Content(text_of(item, "revised_prompt") or "", notes)


def _mcp(item: Item) -> Content:
    contents = [_function(item)]
    if item.get("output") is not None:
        contents.append(_plain_output(item))
    if (error := item.get("error")) is not None:
        contents.append(Content(f"error: {_text(error)}"))
    return joined(contents, "\n\n")


def _mcp_list(item: Item) -> Content:
    tools = list_of(item, "tools") or ()
    names = "\n".join(tool_name(tool) if isinstance(tool, dict) else _text(tool) for tool in tools)
    error = item.get("error")
    return Content(names if error is None else f"{names}\nerror: {_text(error)}".lstrip())


def _approval(item: Item) -> Content:
    match item.get("approve"):
        case True:
            verdict = "approved"
        case False:
            verdict = "refused"
        case other:
            verdict = _text(other)
    reason = text_of(item, "reason")
    return Content(f"{verdict}: {reason}" if reason else verdict)


def _plain_output(item: Item) -> Content:
    output = item.get("output")
    if isinstance(output, str):
        return Content(readable_text(output))
    return read_content(output)


def _shell_output(item: Item) -> Content:
    outputs = list_of(item, "output")
    if outputs is None:
        return _plain_output(item)
    return joined(map(_command_output, outputs))


def _command_output(output: object) -> Content:
    if not isinstance(output, dict):
        return Content(_text(output))
    streams = (text_of(output, "stdout"), text_of(output, "stderr"))
    text = "\n".join(stream.rstrip("\n") for stream in streams if stream)
    match output.get("outcome"):
        case {"type": "exit", "exit_code": int(code)}:
            return Content(text, (f"exit code {code}",))
        case {"type": str(kind)}:
            return Content(text, (short(kind),))
        case _:
            return Content(text)


def _patch_output(item: Item) -> Content:
    status = text_of(item, "status")
    content = _plain_output(item)
    return Content(content.text, (*((short(status),) if status else ()), *content.notes))


def _text(value: object) -> str:
    return value if isinstance(value, str) else indented(value)


_Reader = Callable[[Item], Content]

_CALLS: Mapping[str, _Reader] = {
    "function_call": _function,
    "custom_tool_call": _custom,
    "local_shell_call": _local_shell,
    "shell_call": _shell,
    "apply_patch_call": _apply_patch,
    "web_search_call": _web_search,
    "file_search_call": _file_search,
    "computer_call": _computer,
    "code_interpreter_call": _code_interpreter,
    "image_generation_call": _image_generation,
    "mcp_call": _mcp,
    "mcp_approval_request": _function,
    "mcp_list_tools": _mcp_list,
    "tool_search_call": _function,
}

_OUTPUTS: Mapping[str, _Reader] = {
    "shell_call_output": _shell_output,
    "apply_patch_call_output": _patch_output,
    "mcp_approval_response": _approval,
    "tool_search_output": _mcp_list,
}
