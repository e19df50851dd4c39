"""Items of requests and responses, as short as a test can want them."""

from tests.support.bundles import Json, message


def user(text: str, **extra: object) -> Json:
    """A user's message."""
    return message("user", text, **extra)


def assistant(text: str, **extra: object) -> Json:
    """The model's message."""
    return message("assistant", text, **extra)


def reasoning(
    *, summary: str | None = None, text: str | None = None, encrypted: str | None = None
) -> Json:
    """A reasoning item with what is given."""
    item: Json = {"type": "reasoning", "summary": []}
    if summary is not None:
        item["summary"] = [{"type": "summary_text", "text": summary}]
    if text is not None:
        item["content"] = [{"type": "reasoning_text", "text": text}]
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return item


def function_call(call_id: str, arguments: object, name: str = "run") -> Json:
    """A function call; arguments are JSON in a string on the wire, though not always."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def function_output(call_id: str, output: object) -> Json:
    """What a function gave back."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def image(url: str) -> Json:
    """A user's message that holds an image."""
    content = [{"type": "input_image", "image_url": url, "detail": "auto"}]
    return {"type": "message", "role": "user", "content": content}


def compaction(encrypted: str) -> Json:
    """The summary that a compaction put in a history's place."""
    return {"type": "compaction", "encrypted_content": encrypted}
