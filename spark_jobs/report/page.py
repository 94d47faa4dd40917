"""One HTML file of a report's sections: style and plots inside, no script, nothing fetched."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from spark_jobs.report.facts import Facts
from spark_jobs.report.parts import Headline, Number, count, money, share
from spark_jobs.report.sections import SECTIONS
from spark_jobs.report.sections.money import expected
from spark_jobs.report.sections.people import tiers


def page(facts: Facts) -> str:
    """The whole document. Every word in it that came from data is escaped."""
    manifest = facts.now.manifest
    return _template().render(
        manifest=manifest, headline=headline(facts), sections=[section(facts) for section in SECTIONS]
    )


def headline(facts: Facts) -> Headline:
    manifest, by_tier = facts.now.manifest, tiers(facts.now)
    failures = ", ".join(check.name.replace("_", " ") for check in manifest.gate.failures)
    passed = f"The gate let it pass: all {len(manifest.gate.checks)} questions were answered well."
    stopped = f"The gate stopped it: {failures}. What was shown before is still shown."
    return Headline(
        verdict="Fit to be shown" if manifest.gate.passed else "Stopped",
        tone="good" if manifest.gate.passed else "bad",
        sentence=passed if manifest.gate.passed else stopped,
        numbers=(
            Number(
                count(by_tier["personal"]), "people with a list of their own", _of_users(facts, by_tier["personal"])
            ),
            _sameness(facts),
            Number(money(expected(facts, depth=5)), "expected from the first five products", "if all are shown them"),
        ),
    )


def _of_users(facts: Facts, personal: int) -> str:
    users = sum(facts.now.people)
    return f"{share(personal / max(users, 1))} of {count(users)}"


def _sameness(facts: Facts) -> Number:
    values = {check.name: check.value for check in facts.now.manifest.gate.checks}
    overlap = values.get("product_overlap")
    if overlap is not None and facts.before is not None:
        return Number(share(overlap), "of product lists as yesterday", f"beside {facts.before.manifest.snapshot_id}")
    auc = values.get("product_auc")
    if auc is not None:
        return Number(f"{auc:.2f}", "AUC of the ranker of products", "0.5 is chance, 1 is perfect")
    return Number(count(len(facts.now.names)), "items to choose from", "products and offers")


def coded(text: str) -> Markup:
    """The text escaped, with what stands in backticks set as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("spark_jobs.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["coded"] = coded
    return environment.get_template("page.html")
