"""policy.yaml: what is wrong with it is named with its line, and the first rule that was in force and fits decides."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.kit.errors import BadSettings
from tools.shop.importers import POLICIES
from tools.shop.policy import SECTIONS, Case, Policy, Reason, ReturnRule, Scope, Unknown, load_policy, rule_for

DEMO = Path(__file__).resolve().parents[3] / "tools" / "shop" / "demo" / "policy.yaml"
CLAUSES = ("RET-1", "RET-2", "RET-3", "POST")


def load(folder: Path, text: str) -> Policy:
    file = folder / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    return load_policy(file, CLAUSES)


def problem(folder: Path, text: str) -> str:
    """What load_policy says of it, less the file's name."""
    with pytest.raises(BadSettings) as caught:
        load(folder, text)
    message = str(caught.value)
    assert message.startswith(f"'{folder / 'policy.yaml'}'")
    return message.partition("policy.yaml'")[2].lstrip(", ")


BAD = {
    "an unknown section": (
        """
        caps: {order_cents: 1}
        refund: []
        """,
        ("line 2: refund: ", "Extra inputs"),
    ),
    "an unknown key of a rule": (
        """
        returns:
          - id: r
            clause: RET-1
            windowdays: 30
        """,
        ("line 4: returns.0.windowdays: ", "Extra inputs"),
    ),
    "an unknown key of a scope": (
        """
        returns:
          - {id: a, clause: RET-1, for: {attributes: [x]}}
          - id: r
            clause: RET-1
            for:
              reasons: [faulty]
              colour: [blue]
        """,
        ("line 7: returns.1.for.colour: ", "Extra inputs"),
    ),
    "an unknown value": (
        """
        returns:
          - id: r
            clause: RET-1
            for:
              reasons:
                - faulty
                - boredom
        """,
        ("line 7: returns.0.for.reasons.1: ", "'changed_mind'"),
    ),
    "a wrong type": (
        """
        returns:
          - id: r
            clause: RET-1
            window_days: a month
        """,
        ("line 4: returns.0.window_days: ", "valid integer"),
    ),
    "a number below what is possible": (
        """
        returns:
          - {id: r, clause: RET-1}
        postage:
          - {id: p, clause: POST, paid_by: deducted, amount_cents: -1}
        """,
        ("line 4: postage.0.amount_cents: ", "greater than or equal to 0"),
    ),
    "money that is no whole number of cents": (
        """
        returns: [{id: r, clause: RET-1}]
        caps:
          order_cents: 19.99
        """,
        ("line 3: caps.order_cents: ", "valid integer"),
    ),
    "a missing key": (
        """
        returns:
          - {id: a, clause: RET-1, for: {opened: true}}
          - id: b
            allowed: true
        """,
        ("line 3: returns.1.clause: ", "Field required"),
    ),
    "a section that is no list": (
        """
        caps: {}
        returns: always
        """,
        ("line 2: returns: ", "valid tuple"),
    ),
    "a file that is no mapping": ("- returns", ("line 1: ", "valid dictionary")),
    "a day that does not exist": (
        """
        returns:
          - id: r
            clause: RET-1
            from: 2026-02-30
        """,
        ("line 4: returns.0.from: ", "date"),
    ),
    "a key that stands twice": (
        """
        returns:
          - {id: r, clause: RET-1, window_days: 14}
        caps: {order_cents: 1}
        returns:
          - {id: r, clause: RET-1, window_days: 30}
        """,
        ("line 4: ", "'returns' stands here twice"),
    ),
    "a key that stands twice in a rule": (
        """
        returns:
          - id: r
            clause: RET-1
            allowed: false
            allowed: true
        """,
        ("line 5: ", "'allowed' stands here twice"),
    ),
    "an unknown clause": (
        """
        returns:
          - {id: a, clause: RET-1, for: {opened: true}}
          - id: b
            clause: RET-9
        """,
        ("line 3: returns: ", "rule 'b' quotes clause 'RET-9', which the shop does not have"),
    ),
    "two rules of one name": (
        """
        returns:
          - {id: a, clause: RET-1, for: {opened: true}}
          - {id: a, clause: RET-2}
        """,
        ("line 3: returns: ", "two rules are called 'a'"),
    ),
    "days that end before they begin": (
        """
        returns:
          - {id: a, clause: RET-1, for: {opened: true}, from: 2026-01-02, to: 2026-01-01}
          - {id: b, clause: RET-2}
        """,
        ("line 2: returns: ", "ends on 2026-01-01, before it begins"),
    ),
    "two general rules on one day": (
        """
        returns:
          - {id: a, clause: RET-1, to: 2026-01-01}
          - {id: b, clause: RET-2, from: 2026-01-01}
        """,
        ("line 3: returns: ", "'a' and 'b' hold for the same case on the same days"),
    ),
    "two rules for one case on one day": (
        """
        returns:
          - {id: a, clause: RET-1, for: {reasons: [faulty]}}
          - {id: b, clause: RET-2, for: {reasons: [faulty]}, from: 2026-01-01}
          - {id: c, clause: RET-3}
        """,
        ("line 3: returns: ", "'a' and 'b' hold for the same case"),
    ),
    "a rule that can never apply": (
        """
        returns:
          - {id: a, clause: RET-1}
          - {id: b, clause: RET-2, for: {reasons: [faulty]}}
        """,
        ("line 3: returns: ", "rule 'b' can never apply: 'a' above it takes every case"),
    ),
    "a rule that can never apply on its days": (
        """
        returns:
          - {id: a, clause: RET-1, to: 2025-12-31}
          - {id: b, clause: RET-2, for: {reasons: [faulty]}, from: 2025-02-01, to: 2025-12-31}
          - {id: c, clause: RET-3, from: 2026-01-01}
        """,
        ("line 3: returns: ", "rule 'b' can never apply: 'a' above it"),
    ),
    "a rule that can never apply, as another one takes more": (
        """
        returns:
          - {id: a, clause: RET-1, for: {reasons: [faulty, wrong_item], categories: [Hats]}}
          - {id: b, clause: RET-2, for: {reasons: [faulty], opened: true, categories: [hats], within_days: 7}}
          - {id: c, clause: RET-3}
        """,
        ("line 3: returns: ", "rule 'b' can never apply: 'a' above it"),
    ),
    "no general rule": (
        """
        returns:
          - {id: a, clause: RET-1, for: {reasons: [faulty]}}
          - {id: b, clause: RET-1, for: {opened: true}}
        """,
        ("line 3: returns: ", "no rule is for everything else"),
    ),
    "days before the first rule": (
        """
        returns:
          - {id: a, clause: RET-1, for: {opened: true}}
          - {id: b, clause: RET-2, from: 2026-01-01}
        """,
        ("line 3: returns: ", "orders before 2026-01-01 have no rule"),
    ),
    "days between two rules": (
        """
        returns:
          - {id: b, clause: RET-2, from: 2026-01-02}
          - {id: a, clause: RET-1, to: 2025-12-31}
        """,
        ("line 2: returns: ", "there is no rule from 2026-01-01 to 2026-01-01"),
    ),
    "days after the last rule": (
        """
        returns:
          - {id: a, clause: RET-1, to: 2025-12-31}
          - {id: b, clause: RET-2, from: 2026-01-01, to: 2026-12-31}
        """,
        ("line 3: returns: ", "orders after 2026-12-31 have no rule"),
    ),
}


@pytest.mark.parametrize("wrong", BAD)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, wrong: str) -> None:
    text, said = BAD[wrong]
    lines = [line.removeprefix(" " * 8) for line in text.strip("\n").splitlines()]
    message = problem(tmp_path, "\n".join(lines))
    assert message.startswith(said[0]), message
    assert said[1] in message


@pytest.mark.parametrize("section", [name for name in SECTIONS if name != "returns"])
def test_every_section_is_checked(tmp_path: Path, section: str) -> None:
    needed = {
        "postage": ", paid_by: shop",
        "exchange_postage": ", paid_by: shop",
        "shipping": ", free_from_cents: 6000, fee_cents: 590",
        "refunds": ", arrives: {en: soon}",
    }
    more = needed.get(section, "")
    text = f"returns:\n  - {{id: r, clause: RET-1}}\n{section}:\n  - {{id: a, clause: RET-1, to: 2025-12-31{more}}}\n"
    assert problem(tmp_path, text).startswith(f"line 4: {section}: orders after 2025-12-31 have no rule")


@pytest.mark.parametrize(
    "text", ["returns: [", "a: b: c", "returns: !!python/name:os.system", "\tx", "? [a]\n: b\n? {c: d}\n: e\n- f"]
)
def test_what_is_no_yaml_is_told(tmp_path: Path, text: str) -> None:
    assert "is not valid YAML" in problem(tmp_path, text)


@pytest.mark.parametrize("text", ["[a]: b", "returns: &a [*a]", "returns: [[[]]]", "1: 2", "~: ~"])
def test_odd_yaml_is_told_with_a_line(tmp_path: Path, text: str) -> None:
    assert problem(tmp_path, text).startswith(("line 1: ", "is not valid YAML"))


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadSettings, match="is not valid YAML"):
        load_policy(tmp_path / "policy.yaml")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "returns: []"])
def test_an_empty_file_allows_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Policy() == load_policy(tmp_path / "missing.yaml")


def test_a_specific_rule_may_stand_below_a_general_one_that_ended_before_it(tmp_path: Path) -> None:
    rules = load(
        tmp_path,
        "returns:\n"
        "  - {id: old, clause: RET-1, to: 2025-12-31}\n"
        "  - {id: faulty, clause: RET-2, for: {reasons: [faulty]}, from: 2025-12-01}\n"
        "  - {id: new, clause: RET-3, from: 2026-01-01}\n",
    )
    by_day = [rule_for(rules.returns, Case(day=date(2025, 12, 31) + timedelta(days=n), reason="faulty")) for n in (0, 1)]
    assert [rule.id for rule in by_day if rule] == ["old", "faulty"]


# The rules of the demo and of the benchmarks


def demo() -> Policy:
    return load_policy(DEMO)


@pytest.mark.parametrize("file", sorted(POLICIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_rules_of_every_format_load(file: Path) -> None:
    assert load_policy(file).returns


@pytest.mark.parametrize(
    ("day", "rule_id", "days"),
    [(date(2020, 1, 1), "window-2025", 14), (date(2025, 12, 31), "window-2025", 14), (date(2026, 1, 1), "window", 30)],
)
def test_the_rule_in_force_on_the_orders_day_applies(day: date, rule_id: str, days: int) -> None:
    case = Case(day=day, reason="changed_mind")
    for rule in (rule_for(demo().returns, case), rule_for(demo().exchanges, case)):
        assert rule
        assert (rule.id, rule.window_days) == (rule_id, days)


def demo_rule(**case: Any) -> ReturnRule:
    rule = rule_for(demo().returns, Case(day=date(2026, 5, 1), **case))
    assert rule
    return rule


def asked(**case: Any) -> str:
    with pytest.raises(Unknown) as unknown:
        demo_rule(**case)
    return unknown.value.question


def test_the_first_rule_that_fits_decides() -> None:
    both = frozenset({"hygiene", "final_sale"})
    assert demo_rule(category="gift cards", attributes=both, reason="faulty").id == "gift-cards"
    assert demo_rule(category="Swimwear", attributes=both, reason="faulty").id == "warranty"
    assert demo_rule(category="Swimwear", attributes=both, reason="changed_mind", opened=True).id == "final-sale"
    hygiene = frozenset({"hygiene"})
    assert demo_rule(category="swimwear", attributes=hygiene, reason="changed_mind", opened=True).id == "opened-underwear"
    assert demo_rule(category="Bathroom", attributes=hygiene, reason="changed_mind", opened=True).id == "opened-hygiene"
    assert demo_rule(category="Bathroom", attributes=hygiene, reason="changed_mind", opened=False).id == "window"


def test_a_hygiene_item_is_asked_for_the_reason_and_then_whether_it_was_opened() -> None:
    hygiene = frozenset({"hygiene"})
    assert asked(attributes=hygiene) == "reason"
    assert asked(attributes=hygiene, reason="changed_mind") == "opened"
    assert demo_rule(attributes=hygiene, reason="faulty").id == "warranty"


@pytest.mark.parametrize("reason", ["changed_mind", "does_not_fit", "faulty", "wrong_item", "by_mistake"])
def test_a_jacket_is_never_asked_whether_it_was_opened(reason: Reason) -> None:
    assert asked(category="Jackets") == "reason"
    assert demo_rule(category="Jackets", reason=reason).allowed


def test_a_gift_card_is_asked_nothing() -> None:
    assert demo_rule(category="Gift cards").id == "gift-cards"


def test_in_china_the_first_seven_days_need_no_unworn_goods() -> None:
    for country, days, rule_id in (("中国", 7, "no-reason-china"), ("china", 0, "no-reason-china"), ("China", 8, "window")):
        assert demo_rule(country=country, days_since_delivery=days, reason="changed_mind").id == rule_id
    assert demo_rule(country="China", reason="changed_mind").id == "window"
    assert demo_rule(country="United States", days_since_delivery=1, reason="changed_mind").id == "window"


# Any policy that loads

DAYS = st.dates(date(2025, 12, 28), date(2026, 1, 5))


@st.composite
def rules_of_a_section(draw: st.DrawFn) -> list[dict[str, Any]]:
    scopes = st.sampled_from(
        [{}, {"reasons": ["faulty"]}, {"opened": True}, {"attributes": ["hygiene"]}, {"reasons": ["faulty"], "opened": True}]
    )
    rules = []
    for number in range(draw(st.integers(1, 4))):
        rule: dict[str, Any] = {"id": f"r{number}", "clause": "RET-1", "for": draw(scopes)}
        for end in ("from", "to"):
            if draw(st.integers(0, 3)) == 0:
                rule[end] = draw(DAYS).isoformat()
        rules.append(rule)
    # So that most of them load.
    return [*rules, {"id": "all", "clause": "RET-1"}]


@settings(max_examples=150, deadline=None)
@given(rules_of_a_section())
def test_where_a_policy_loads_every_case_on_every_day_has_a_rule_and_every_rule_a_case(
    tmp_path_factory: pytest.TempPathFactory, rules: list[dict[str, Any]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "drawn.yaml"
    file.write_text(Policy.model_validate({"returns": rules}).model_dump_json(by_alias=True, exclude_unset=True))
    try:
        loaded = load_policy(file).returns
    except BadSettings:
        return
    answers = [
        rule_for(loaded, Case(day=date(2025, 12, 20) + timedelta(days=n), reason=reason, opened=opened, attributes=attributes))
        for n in range(30)
        for reason in ("faulty", "changed_mind")
        for opened in (True, False)
        for attributes in (frozenset[str](), frozenset({"hygiene"}))
    ]
    assert None not in answers
    never = {rule.id for rule in loaded} - {rule.id for rule in answers if rule}
    assert never == set()
    general = [rule for rule in loaded if rule.scope == Scope()]
    for day in (date(1990, 1, 1), date(2100, 1, 1)):
        assert sum(rule.in_force(day) for rule in general) == 1


def test_only_the_first_exchange_of_the_demos_orders_is_free_of_postage() -> None:
    rules = load_policy(DEMO).exchange_postage
    home = Case(day=date(2026, 6, 1), country="United States", reason="does_not_fit")
    paid_by = [rule.paid_by for before in (0, 1, 2) if (rule := rule_for(rules, replace(home, exchanges_before=before)))]
    assert paid_by == ["shop", "customer", "customer"]
    ours = replace(home, reason="faulty", exchanges_before=3)
    rule = rule_for(rules, ours)
    assert rule
    assert rule.paid_by == "shop"
