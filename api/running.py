"""The running service, as routes ask for it: `async def route(service: Running)`."""

from typing import Annotated

from fastapi import Depends, Request

from api.service import Service


async def _service(request: Request) -> Service:
    # async, though it waits for nothing: FastAPI runs others in a thread.
    service: Service = request.app.state.service
    return service


Running = Annotated[Service, Depends(_service)]
