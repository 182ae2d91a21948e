"""Every error this package raises on purpose.

::

    OsmosisError                what happened, where, and what to do next
    ├── UsageError              the command line or a request makes no sense
    ├── ProjectError            the dbt project cannot be used as it is
    │   ├── ProjectNotFound     no dbt_project.yml upward from here
    │   ├── ManifestError       the manifest is absent, half-written or not a manifest
    │   └── SettingsError       a setting has a value that is not allowed
    ├── DocumentError           a schema file cannot be read or edited
    │   ├── DocumentSyntaxError it is no YAML
    │   └── EditRejected        an edit would have changed something else, or could not be made
    ├── WriteError              a file could not be written, or changed meanwhile
    ├── BudgetExceeded          the call does not fit into the budget; it was not made
    └── ProviderError           a provider could not answer
        ├── ProviderSetupError  no key, no SDK, unknown name, untrusted host: no call can work
        ├── ProviderAuthError   the key was refused
        ├── ProviderQuotaError  the account has no credit left
        ├── ProviderRateLimited the server asked us to slow down, and kept asking
        ├── ProviderTimeout     no answer in time
        ├── ProviderConnectionError   no connection, or it broke
        ├── ProviderServerError the server failed (5xx)
        └── ProviderRejected    the server understood the request and refused it (other 4xx)
"""

from __future__ import annotations

from pathlib import Path


class OsmosisError(Exception):
    """Base of all our errors.

    ``str()`` gives the whole message on one line: what happened and where, then, if there is one, the ``hint``:
    what to do next.
    """

    exit_code = 2
    """What a command line ends with when this error is what stopped it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class UsageError(OsmosisError):
    """The command line, or a request, makes no sense."""


class ProjectError(OsmosisError):
    """The dbt project cannot be used as it is."""


class ProjectNotFound(ProjectError):
    """There is no ``dbt_project.yml`` in a folder or any folder above it."""


class ManifestError(ProjectError):
    """The manifest (or catalog) at ``path`` is absent, half-written, or not what its name says."""

    def __init__(self, message: str, *, path: Path, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class SettingsError(ProjectError):
    """A setting has a value that is not allowed.

    ``origin`` says where the value stands (a file, an environment variable, an option), ``key`` which setting.
    """

    def __init__(self, message: str, *, key: str, origin: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.origin = origin


class DocumentError(OsmosisError):
    """A schema file cannot be read or edited."""


class DocumentSyntaxError(DocumentError):
    """The text is no YAML. ``line`` and ``column`` count from 1; both are 0 where the parser gave no place."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class EditRejected(DocumentError):
    """An edit could not be made, or would have changed something besides the descriptions asked for."""


class WriteError(OsmosisError):
    """``path`` could not be written: read-only, no room, or it changed since it was read."""

    def __init__(self, message: str, *, path: Path, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class BudgetExceeded(OsmosisError):
    """A call does not fit into what is left of the budget. It was not made."""


class ProviderError(OsmosisError):
    """A provider could not answer. ``final`` errors are not worth another try with the same request."""

    exit_code = 3
    final = True

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        """Seconds the server asked us to wait, where it said so."""


class ProviderSetupError(ProviderError):
    """No key, no SDK, an unknown provider, a host that is not trusted: no call can work until that is mended."""


class ProviderAuthError(ProviderError):
    """The server refused the key."""


class ProviderQuotaError(ProviderError):
    """The account behind the key has no credit left."""


class ProviderRejected(ProviderError):
    """The server understood the request and refused it: 4xx other than auth, quota, 408, 409 and 429."""


class ProviderRateLimited(ProviderError):
    """429, still after all tries."""

    final = False


class ProviderTimeout(ProviderError):
    """No answer within the time limit."""

    final = False


class ProviderConnectionError(ProviderError):
    """No connection, or it broke before the reply was whole."""

    final = False


class ProviderServerError(ProviderError):
    """5xx (or 408, 409), still after all tries."""

    final = False
