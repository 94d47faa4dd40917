"""Entry point of the service: `uvicorn api.main:app --port 8080`."""

from api.app import create_app
from data_contracts.settings import Settings

app = create_app(Settings())
