"""What a client may ask for: parts register commands, sessions call them.

A command is a name, a Struct that says what it takes, and a function. Its parameters stand beside `type`
and `id`, or all of them in `payload`. `control` says that it changes something, which not everybody may
(see `access`).
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec

PREFIX: Final = "command:"

Result = dict[str, Any]
Handler = Callable[[Any], Result | Awaitable[Result]]
T = TypeVar("T", bound=msgspec.Struct)
# A client's own name for what it sends; comes back with the answer as it was.
Id = Annotated[str, msgspec.Meta(max_length=64)] | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class CommandError(Exception):
    """Why it could not be done, for the client: a code and a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    parameters: type[msgspec.Struct]
    handler: Handler
    control: bool


class _Anything(msgspec.Struct):
    """Of a command that is refused whatever it takes."""


class Commands:
    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._commands))

    def register(
        self, name: str, parameters: type[msgspec.Struct], handler: Handler, *, control: bool
    ) -> Callable[[], None]:
        """Returns the function that takes it back."""
        assert name not in self._commands, f"{name} is registered twice"
        self._commands[name] = Command(name, parameters, handler, control)

        def take_back() -> None:
            del self._commands[name]

        return take_back

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """Those of a part that is switched off: who asks learns why."""

        def refused(_: object) -> Result:
            raise CommandError("refused", reason)

        for name in names:
            self.register(name, _Anything, refused, control=False)

    def find(self, kind: str) -> Command | None:
        return self._commands.get(kind.removeprefix(PREFIX)) if kind.startswith(PREFIX) else None


async def call(command: Command, message: str | bytes, *, refused: str | None = None) -> Result:
    """Raises CommandError; the message is known to be a JSON object.

    `refused` says why whoever sends it may not change anything; None when he may.
    """
    if command.control and refused is not None:
        raise CommandError("not_allowed", refused)
    result = command.handler(parameters(message, command.parameters))
    return await result if inspect.isawaitable(result) else result


def parameters(message: str | bytes, kind: type[T]) -> T:
    """What stands beside `type` and `id`, or in `payload`; CommandError names what is wrong with it."""
    try:
        given: dict[str, Any] = msgspec.json.decode(message)
        given.pop("type")
        given.pop("id", None)
        if given.keys() == {"payload"}:
            given = given["payload"]
        return msgspec.convert(given, kind)
    # As where it was known to be an object: much was skipped there that is looked at only now.
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise CommandError("bad_message", str(exc)) from None
