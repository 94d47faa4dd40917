"""All calls over HTTP, one module an idea. Each validates, asks the core, and writes; nothing is decided here."""

from fastapi import APIRouter

from api import (
    routes_audiences,
    routes_campaigns,
    routes_console,
    routes_explanations,
    routes_exports,
    routes_feedback,
    routes_lifts,
    routes_lists,
    routes_operators,
    routes_products,
    routes_recommendations,
    routes_rules,
    routes_service,
    routes_suppressions,
    routes_users,
)

router = APIRouter()
for part in (
    routes_recommendations,
    routes_feedback,
    routes_products,
    routes_service,
    routes_operators,
    routes_users,
    routes_explanations,
    routes_suppressions,
    routes_lifts,
    routes_lists,
    routes_audiences,
    routes_exports,
    routes_campaigns,
    routes_rules,
    routes_console,
):
    router.include_router(part.router)
