"""Rules on showing, proposed and approved: what is approved is served at once, with the newest catalogue."""

from data_contracts.catalogue import Rules, check_references
from data_contracts.errors import InputError
from data_contracts.yaml_files import PROPOSED, document_of
from sql import proposals
from sql.client import Store
from sql.proposals import Asked, Decision, Draft, Kind, Proposal
from sql.rules import RuleSet, current_rule_set, put_rule_set

_NAME = "rules"  # there is one document of them


def rules_of(text: str) -> Rules:
    """Raises DocumentError."""
    return document_of(text, PROPOSED, Rules)[1]


def propose_rules(store: Store, asked: Asked) -> Proposal:
    """Raises InputError, with the line, for a document that is none of rules or speaks of unknown products."""
    rules, serving = rules_of(asked.text), _serving(store)
    try:
        check_references(serving.catalogue, rules)
    except ValueError as error:
        raise InputError(str(error)) from error
    draft = Draft(Kind.RULES, _NAME, asked.text, asked.actor, asked.why)
    return proposals.propose(store, draft, now=asked.now)


def decide_rules(store: Store, decision: Decision) -> Proposal:
    """Approve or refuse; see `proposals.decide`. Raises InputError where the catalogue lacks a product by now."""

    def serve(one: Proposal) -> None:
        serving, actors = _serving(store), f"{one.asked.actor}, {decision.actor}"
        rules = rules_of(one.document)
        put_rule_set(store, catalogue=serving.catalogue, rules=rules, reasons=serving.reasons, actor=actors)

    return proposals.decide(store, Kind.RULES, decision, make=serve)


def _serving(store: Store) -> RuleSet:
    serving = current_rule_set(store)
    if serving is None:
        raise InputError("no catalogue is served yet: run `recs night` first")
    return serving
