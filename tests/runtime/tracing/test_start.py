"""Tracing that can't work stops the start with one line, and ``doctor`` reports it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from manifest_auth.maintenance.doctor import examine
from manifest_auth.maintenance.startup import build_services
from manifest_auth.runtime.settings import SettingsError, load
from tests.runtime.tracing.collector import collecting
from tests.support.matrix import matrix
from tests.support.secret_keys import SECRET_KEY

EXPORTER = "manifest_auth.runtime.trace_export"


def settings_of(folder: Path) -> dict[str, str]:
    return {"MANIFEST_DATA_DIR": str(folder), "MANIFEST_SECRET_KEY": SECRET_KEY, "MANIFEST_TRACING": "on"}


async def said(folder: Path) -> list[tuple[str, str]]:
    """Findings of ``doctor`` about tracing."""
    found = [finding async for finding in examine(load(settings_of(folder)))]
    return [(finding.level, finding.text) for finding in found if finding.text.startswith("tracing")]


async def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, EXPORTER, raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    text = "MANIFEST_TRACING: on requires an extra: pip install 'manifest-auth[otel]'"
    with pytest.raises(SettingsError) as refused:
        build_services(load(settings_of(tmp_path)))
    assert str(refused.value) == text
    assert await said(tmp_path) == [("bad", f"tracing: {text}")]


@matrix(
    "name, value",
    [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.01"),
        ("OTEL_TRACES_SAMPLER_ARG", "often"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ],
)
async def test_invalid_variables_are_named(
    tmp_path: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setenv(name, value)
        with pytest.raises(SettingsError, match=r"^MANIFEST_TRACING: ") as refused:
            build_services(load(settings_of(tmp_path)))
        assert value in str(refused.value)
        assert (await said(tmp_path))[0][0] == "bad"


def test_one_percent_of_the_requests_is_drawn(tmp_path: Path) -> None:
    recorder = build_services(load(settings_of(tmp_path))).recorder
    assert recorder is not None
    drawn = sum(recorder.is_due() for _ in range(100_000))
    assert 800 < drawn < 1200  # six standard deviations


async def test_doctor_asks_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        assert await said(tmp_path) == [("ok", "tracing: the collector accepts spans")]
        collector.status = 403
        [(level, text)] = await said(tmp_path)
    assert level == "bad"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in text
