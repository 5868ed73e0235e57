"""A pressure sensor beside the ride, in the whole daemon: a CANable with traffic, and the demo's lift."""

import asyncio
import contextlib
import json
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from websockets.asyncio.client import connect

from tests.e2e.helpers import PATIENCE_S, ROOT, daemon, leslisten, receive
from tests.e2e.test_daemon import DEMO
from tests.e2e.test_rides import ask, told

PRESSURE, MODE = "inverter.PressureSensor.Pressure", "inverter.InverterState.Mode"
WRONG = "inverter.PressureSensor.Presure"


@contextlib.contextmanager
def canable(port: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "mock.mock_canable", "--link", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert "plugged in" in process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stdout.close()


def settings(folder: Path, signals: list[str]) -> dict[str, str]:
    (folder / "dbc").mkdir()
    shutil.copy(ROOT / "mock/bench.dbc", folder / "dbc")
    (folder / "dbc/.loaded.json").write_text(json.dumps({"buses": {"inverter": ["bench.dbc"]}}))
    bus = f'{{device_type = "canable", channel = "{folder / "tty"}", baudrate = "BAUD_500K"}}'
    return {
        "LES02_DATABASE__PATH": str(folder / "les02.db"),
        "LES02_RIDES__HOLD_S": "0.5",
        "LES02_RIDES__SIGNALS": json.dumps(signals),
        "LES02_WORKBENCH__ENABLED": "true",
        "LES02_WORKBENCH__BUSES": f"{{inverter = {bus}}}",
    }


async def test_the_pressure_is_told_kept_through_a_kill_and_found_again(tmp_path: Path) -> None:
    variables = settings(tmp_path, [PRESSURE, MODE, WRONG])
    with canable(tmp_path / "tty"), daemon(*DEMO, cwd=tmp_path, **variables) as first:
        async with connect(f"{first.url}/?types=signal_sample", proxy=None) as client:
            hello = (await receive(client))["payload"]
            assert hello["signals"] == [PRESSURE, MODE, WRONG]
            (trouble,) = hello["troubles"]
            assert (trouble["code"], trouble["details"]["signals"]) == ("signals_unknown", [WRONG])
            assert "did you mean 'Pressure'?" in trouble["details"]["reason"]
            events = [await receive(client) for _ in range(200)]
        samples = [event for event in events if event["payload"]["channel"] == PRESSURE]
        assert {(event["source"], event["payload"]["unit"]) for event in samples} == {("workbench", "bar")}
        assert {event["payload"]["channel"] for event in events} == {PRESSURE, MODE}
        assert all("text" in event["payload"] for event in events if event["payload"]["channel"] == MODE)
        async with connect(f"{first.url}/?types=ride_start,ride_end,result,error", proxy=None) as client:
            await told(client, "ride_start")
            await ask(client, "stop")
            await told(client, "ride_end")
            await told(client, "ride_start")
            await asyncio.sleep(1.5)  # as much as may be lost, and something before it
            first.end(signal.SIGKILL)
    with daemon(*DEMO, cwd=tmp_path, **variables) as again:
        async with connect(f"{again.url}/?types=result,error", proxy=None) as client:
            rides = (await ask(client, "list_rides"))["rides"]
            assert [ride["reason"] for ride in rides[-2:]] == ["aborted", "completed"]
            cut, whole = [await ask(client, "get_ride", ride=ride["number"]) for ride in rides[-2:]]
        assert again.end()[0] == 0
    for found in (cut, whole):
        pressure, mode = found["signals"][PRESSURE], found["signals"][MODE]
        assert found["signals"][WRONG]["values"] == []
        apart = [b - a for a, b in zip(pressure["offsets_us"], pressure["offsets_us"][1:], strict=False)]
        assert 15_000 < statistics.median(apart) < 25_000  # the DBC says every 20 ms
        assert pressure["unit"] == "bar"
        assert all(mode["words"][str(round(value))] for value in set(mode["values"]))
        assert pressure["offsets_us"][-1] > 1_000_000
        assert pressure["offsets_us"][0] < 0
    last_s = whole["signals"][PRESSURE]["offsets_us"][-1] / 1e6
    assert last_s > whole["ride"]["end_ts"] - whole["ride"]["start_ts"]


async def test_who_asks_for_nothing_gets_no_signals(tmp_path: Path) -> None:
    with canable(tmp_path / "tty"), daemon(*DEMO, cwd=tmp_path, **settings(tmp_path, [PRESSURE])) as running:
        async with (
            connect(f"{running.url}/", proxy=None) as usual,
            connect(f"{running.url}/?types=signal_sample&rate=5", proxy=None) as asked,
        ):
            await receive(asked)
            events = [await receive(asked) for _ in range(5)]
            seen = {(await receive(usual))["type"] for _ in range(500)}
        running.end()
    assert {event["type"] for event in events} == {"signal_sample"}
    assert events[-1]["ts"] - events[0]["ts"] > 0.6
    assert "position_sample" in seen
    assert "signal_sample" not in seen


def test_signals_without_a_workbench_are_a_mistake(tmp_path: Path) -> None:
    told = leslisten("--demo", cwd=tmp_path, LES02_RIDES__SIGNALS='["PressureSensor.Pressure"]')
    assert told.returncode == 78
    assert told.stderr.strip() == (
        "leslisten: [rides] signals: needs [workbench] enabled = true, which reads their buses"
    )


def test_a_signal_of_another_form_is_a_mistake(tmp_path: Path) -> None:
    told = leslisten("--demo", cwd=tmp_path, LES02_RIDES__SIGNALS='["Pressure"]')
    assert told.returncode == 78
    (line,) = told.stderr.strip().splitlines()
    assert 'is not a list of up to 16 signals such as "inverter.PressureSensor.Pressure"' in line
