"""Makes a class offer exactly what ``members.py`` says: value properties and signals come from the table."""

from __future__ import annotations

from host.members import READ_ONLY, Members
from host.signals import HostSignal


class ValueProperty:
    """A property that holds a value; a method ``_h<Name>Changed`` of the class is told of a new one."""

    def __init__(self, name: str, default: object) -> None:
        self.name, self._default = name, default
        self._hook = f"_h{name[0].upper()}{name[1:]}Changed"
        self._kind = None if default is None else type(default)

    def __get__(self, instance, owner):
        return self if instance is None else instance.__dict__.get(f"_h_{self.name}", self._default)

    def __set__(self, instance, value) -> None:
        value = self._converted(instance, value)
        if value == self.__get__(instance, type(instance)):
            return
        instance.__dict__[f"_h_{self.name}"] = value
        hook = getattr(instance, self._hook, None)
        if hook is not None:
            hook(value)

    def _converted(self, instance, value):
        if self._kind is tuple and isinstance(value, list | tuple):
            return tuple(value)
        if self._kind is float and isinstance(value, int | float):
            return float(value)
        if self._kind is bool and isinstance(value, int):
            return bool(value)
        if self._kind in (None, int) or isinstance(value, self._kind):
            return value
        owner, wanted, given = type(instance).__name__, self._kind.__name__, type(value).__name__
        raise ValueError(f"Property '{self.name}' of {owner} takes {wanted}, not {given}")


class _Setter:
    """The slot ``setX`` that stands in the table beside the property ``x``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance, owner):
        return self if instance is None else lambda value: setattr(instance, self._name, value)


def offered(table: dict[str, Members]):
    """Class decorator: fills in what the table declares and the class does not write out itself."""

    def complete(kind: type) -> type:
        members = table[kind.__name__]
        for name, default in members.properties.items():
            if name not in vars(kind):
                if default is READ_ONLY:
                    raise TypeError(f"{kind.__name__}.{name} is read-only and not written")
                setattr(kind, name, ValueProperty(name, default))
        by_name: dict[str, list[str]] = {}
        for signature in members.signals.split():
            by_name.setdefault(signature.partition("(")[0], []).append(signature)
        for name, signatures in by_name.items():
            setattr(kind, name, HostSignal(name, signatures))
        for name in members.methods.split():
            if not hasattr(kind, name):
                wanted = f"{name[3].lower()}{name[4:]}"
                if not name.startswith("set") or wanted not in members.properties:
                    raise TypeError(f"{kind.__name__}.{name} stands in the table and is not written")
                setattr(kind, name, _Setter(wanted))
        return kind

    return complete
