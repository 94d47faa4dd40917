"""The application that `python -m api` serves, for any ASGI server."""

from api.app import create_app
from api.logs import write_logs
from api.settled import settle
from data_contracts.settings import Settings

_settings = Settings()
write_logs(_settings.log_format, key=_settings.signing_key)
app = create_app(_settings, when_ready=settle)
