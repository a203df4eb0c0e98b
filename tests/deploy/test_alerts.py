"""Every alert rule fires when it should and otherwise stays quiet, according to Prometheus's ``promtool``."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]

from tests.architecture.links import ROOT
from tests.deploy.prometheus import program

pytestmark = [pytest.mark.processes, pytest.mark.endurance]
RULES, SLO = ROOT / "deploy" / "alerts.yml", ROOT / "deploy" / "slo.yml"
_DAY, _DAY_M = 86_400, 1440


class Case(NamedTuple):
    """Series with one value a minute that make the alert fire with these ``labels`` after ``minutes``, and others that
    don't. ``a+bxn`` means n more values, each b higher; ``_`` means none. The job is an installation's; see
    :func:`_of`."""

    fires: dict[str, str]
    quiet: dict[str, str]
    minutes: int = 60
    labels: dict[str, str] = {}  # noqa: RUF012 - never changed


def _requests(status: str, route: str = "/x", le: str = "") -> str:
    suffix, bound = ("bucket", f',le="{le}"') if le else ("count", "")
    return f'manifest_request_seconds_{suffix}{{status="{status}",route="{route}"{bound}}}'


def _me(slow: str) -> dict[str, str]:
    return {
        _requests("200", "/api/client/auth/me", le): slow if le == "0.25" else "0+60x90"
        for le in ("0.25", "1.0", "+Inf")
    }


def _units(fast: str) -> dict[str, str]:
    return {f'manifest_store_seconds_bucket{{unit="read",le="{le}"}}': fast if le == "0.5" else "0+60x90"
            for le in ("0.5", "1.0", "+Inf")}  # fmt: skip


def _failures(why: str, other: str) -> Case:
    mine, others = (f'manifest_store_failures_total{{unit="write",why="{reason}"}}' for reason in (why, other))
    return Case({mine: "0+1x90"}, {mine: "7+0x90", others: "0+1x90"})


def _clock(ahead: str) -> dict[str, str]:
    return {'manifest_clock_skew_seconds{instance="i"}': ahead}


def _replays(what: str, values: str) -> dict[str, str]:
    return {f'manifest_replays_total{{what="{what}"}}': values}


def _sign_ins(failed: str, ok: str) -> dict[str, str]:
    results = {"failed": failed, "ok": ok, "code": "0+0x90", "linked": "0+0x90"}
    return {f'manifest_sign_ins_total{{method="saml",result="{result}"}}': v for result, v in results.items()}


def _licence(state: str, days: int) -> dict[str, str]:
    states = {f'manifest_license_state{{state="{s}"}}': f"{int(s == state)}+0x90"
              for s in ("missing", "valid", "grace", "expired")}  # fmt: skip
    return {"manifest_license_days_left": f"{days}+0x90", **states}


def _queue(waiting: int) -> dict[str, str]:
    return {'manifest_hash_waiting{instance="i"}': f"{waiting}+0x90",
            'manifest_hash_limit{instance="i"}': "66+0x90"}  # fmt: skip


def _builds(*versions: str) -> dict[str, str]:
    return {
        f'manifest_build_info{{version="{v}",schema="0004",instance="{n}"}}': "1+0x90" for n, v in enumerate(versions)
    }


_MAILS, _THROTTLED = 'manifest_mails_total{result="failed"}', 'manifest_throttled_total{door="client",limit="account"}'
_UNREACHABLE = 'manifest_provider_seconds_count{call="keys",result="unreachable"}'
CASES: dict[str, Case] = {
    "ManifestAuthDown": Case(dict.fromkeys(_builds("1"), "1x30 _x60"), _builds("1")),
    "ManifestAuthNodeDown": Case(
        {**_builds("1"), 'up{instance="0"}': "1+0x90", 'up{instance="1"}': "1x30 0x60"},
        {**_builds("1"), 'up{instance="0"}': "1+0x90"},
        labels={"instance": "1"},
    ),
    "ManifestAuthErrors": Case({_requests("500"): "0+1x90"}, {_requests("500"): "3+0x90", _requests("200"): "0+9x90"}),
    "ManifestAuthOverloaded": Case(
        {_requests("503"): "0+2x90", _requests("200"): "0+98x90"},
        {_requests("503"): "0+1x90", _requests("200"): "0+199x90"},
    ),
    "ManifestAuthSlow": Case(_me("0+50x90"), _me("0+60x90")),
    "ManifestAuthReleasesDiffer": Case(_builds("1", "2"), _builds("1", "1"), 61),
    "ManifestAuthClockSkew": Case(_clock("-31+0x90"), _clock("29+0x90"), labels={"instance": "i"}),
    "ManifestAuthStoreUnavailable": _failures("unavailable", "busy"),
    "ManifestAuthStoreBusy": _failures("busy", "unavailable"),
    "ManifestAuthStoreSlow": Case(_units("0+50x90"), _units("0+60x90"), labels={"unit": "read"}),
    "ManifestAuthHashQueue": Case(_queue(60), _queue(40), labels={"instance": "i"}),
    "ManifestAuthHashQueueFull": Case(
        {"manifest_hash_refused_total": "0+1x90"}, {"manifest_hash_refused_total": "5+0x90"}
    ),
    "ManifestAuthTokenReused": Case(
        _replays("refresh_token", "0+0x55 1+0x30"), _replays("oidc_state", "0+0x55 1+0x30"),
        labels={"what": "refresh_token"},
    ),
    "ManifestAuthReplays": Case(
        _replays("oidc_state", "0+1x90"), _replays("oidc_state", "0+0x50 3+0x40"), labels={"what": "oidc_state"}
    ),
    "ManifestAuthThrottling": Case({_THROTTLED: "0+90x90"}, {_THROTTLED: "0+30x90"}, labels={"door": "client"}),
    "ManifestAuthSignInsFail": Case(
        _sign_ins("0+30x90", "0+5x90"), _sign_ins("0+30x90", "0+30x90"), labels={"method": "saml"}
    ),
    "ManifestAuthProviderUnreachable": Case({_UNREACHABLE: "0+6x90"}, {_UNREACHABLE: "0+1x90"}),
    "ManifestAuthProviderProblem": Case(
        {"manifest_provider_problems": "2+0x90"}, {"manifest_provider_problems": "0+0x90"}
    ),
    "ManifestAuthMailFails": Case({_MAILS: "0+1x90"}, {_MAILS: "0+0x50 1+0x40"}),
    "ManifestAuthBackupOld": Case(  # promtool's time starts at 0
        {"manifest_last_backup_timestamp_seconds": f"{-2 * _DAY}+0x90"},
        {"manifest_last_backup_timestamp_seconds": f"{-_DAY}+0x90"},
        62,
    ),
    "ManifestAuthDiskLow": Case(
        {'manifest_disk_free_bytes{instance="i"}': "1000000000+0x90"},
        {'manifest_disk_free_bytes{instance="i"}': "2000000000+0x90"},
        labels={"instance": "i"},
    ),
    "ManifestAuthLicenceEnds": Case(_licence("valid", 29), _licence("valid", 31)),
    "ManifestAuthLicenceGrace": Case(_licence("grace", -3), _licence("valid", 29)),
    "ManifestAuthLicenceMissing": Case(
        _licence("missing", 0), _licence("grace", -3), labels={"state": "missing"}
    ),
}  # fmt: skip


def _rules(path: Path) -> dict[str, Any]:
    [group] = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"] if "alert" in rule}


def _of(job: str, series: dict[str, str]) -> list[dict[str, str]]:
    """The series of one installation."""
    named = ((name.partition("{")[0], name.partition("{")[2].rstrip("}"), values) for name, values in series.items())
    return [
        {"series": f'{name}{{job="{job}"{"," if labels else ""}{labels}}}', "values": values}
        for name, labels, values in named
    ]


def _fired(rule: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    summary = re.sub(r"\{\{ \$labels\.(\w+) }}", lambda found: labels[found[1]], rule["annotations"]["summary"])
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": {"summary": summary}}


def _test(name: str, rule: dict[str, Any], case: Case, *, fires: bool) -> dict[str, Any]:
    """One of two installations is healthy, and neither fires nor hides the other."""
    fired = _fired(rule, {"job": "ours", **case.labels})
    return {
        "name": f"{name} {'fires' if fires else 'is quiet'}",
        "interval": "1m",
        "input_series": _of("others", case.quiet) + _of("ours", case.fires if fires else case.quiet),
        "alert_rule_test": [
            {"eval_time": f"{case.minutes}m", "alertname": name, "exp_alerts": [fired] if fires else []}
        ],
    }


def _nothing_at_all(rule: dict[str, Any]) -> dict[str, Any]:
    """No process was ever scraped, so no job is known."""
    summary = rule["annotations"]["summary"].replace("{{ $labels.job }}", "")
    fired = {"exp_labels": rule["labels"], "exp_annotations": {"summary": summary}}
    return {
        "interval": "1m",
        "input_series": [{"series": "up", "values": "0+0x90"}],
        "alert_rule_test": [{"eval_time": "60m", "alertname": "ManifestAuthDown", "exp_alerts": [fired]}],
    }


def test_every_alert_fires_and_is_quiet(tmp_path: Path) -> None:
    rules = _rules(RULES)
    assert set(CASES) == set(rules)
    tests = [_test(name, rules[name], case, fires=fires) for name, case in CASES.items() for fires in (True, False)]
    tests.append(_nothing_at_all(rules["ManifestAuthDown"]))
    _check(tmp_path, RULES, {"tests": tests})


def _check(folder: Path, rules: Path, tests: dict[str, Any]) -> None:
    (folder / "tests.yml").write_text(yaml.safe_dump({"rule_files": [str(rules)], **tests}))
    for command in (["check", "rules", str(rules)], ["test", "rules", str(folder / "tests.yml")]):
        done = subprocess.run([program("promtool"), *command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


# Objectives: the failure, the alert that fires, the time when it fires, and the time when it clears.

_BUDGET = {"answers": 0.001, "me": 0.01, "sign-ins": 0.01, "beats": 0.001}


class Burn(NamedTuple):
    """For ``minutes``, failures use up the budget at ``rate``. The alert fires after ``fires`` minutes, and is quiet
    ``clears`` minutes after the last failure. ``fires`` is 0 if it stays quiet."""

    rate: float
    alert: str
    minutes: int
    fires: int
    clears: int


BURNS = (
    Burn(50, "ManifestAuthBudgetBurnsFast", 10, 0, 0),
    Burn(20, "ManifestAuthBudgetBurnsFast", 100, 60, 10),
    Burn(7, "ManifestAuthBudgetBurnsFast", 400, 365, 40),
    Burn(3.5, "ManifestAuthBudgetBurnsSlowly", 1500, 1445, 370),
    Burn(1.2, "ManifestAuthBudgetBurnsSlowly", 4500, 4330, 370),
)


def _failing(slo: str, rate: float, burn: Burn) -> dict[str, str]:
    """The series of a day without failures, then with some, and then without any."""
    share, minutes, after = rate * _BUDGET[slo], burn.minutes, burn.clears + 10
    if slo == "beats":
        return {'manifest_beats_current{pid="1"}': f"1x{_DAY_M} {1 - share}x{minutes} 1x{after}"}
    bad = round(share * 100_000)

    def counts(usual: int, then: int) -> str:
        """Counts of events: ``usual`` a minute, then ``then``, and ``usual`` again."""
        first, second = usual * _DAY_M, usual * _DAY_M + then * minutes
        return f"0+{usual}x{_DAY_M} {first + then}+{then}x{minutes - 1} {second + usual}+{usual}x{after}"

    if slo == "answers":
        return {_requests("200", "/api/x"): counts(100_000, 100_000 - bad), _requests("503", "/api/x"): counts(0, bad)}
    route, bound = ("/api/client/auth/me", "0.05") if slo == "me" else ("/sign-in/password", "1.0")
    quick = counts(100_000, 100_000 - bad)
    return {_requests("200", route): counts(100_000, 100_000), _requests("200", route, bound): quick}


def test_every_objective_fires_and_clears(tmp_path: Path) -> None:
    """For each objective, one installation burns its budget, and another stays just below the limit."""
    rules, tests = _rules(SLO), []
    for burn in BURNS:
        series, fired = [], []
        for slo in _BUDGET:
            series += _of(f"{slo}-well", _failing(slo, 0.95, burn)) + _of(slo, _failing(slo, burn.rate, burn))
            fired.append(_fired(rules[burn.alert], {"job": slo, "slo": slo}))
        times = {burn.fires: fired if burn.fires else [], burn.minutes + burn.clears: []}
        tests.append({
            "name": f"{burn.rate}", "interval": "1m", "input_series": series,
            "alert_rule_test": [
                {"eval_time": f"{_DAY_M + after}m", "alertname": burn.alert, "exp_alerts": alerts}
                for after, alerts in times.items()
            ],
        })  # fmt: skip
    assert {burn.alert for burn in BURNS} == set(rules)
    _check(tmp_path, SLO, {"evaluation_interval": "5m", "tests": tests})
