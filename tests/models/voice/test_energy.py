from __future__ import annotations

import numpy as np
import pytest

from models.voice.energy import FLOOR_DBFS, energy_dbfs


def test_a_full_scale_sine_reads_three_decibels_below_full_scale() -> None:
    sine = np.sin(2 * np.pi * 200 * np.arange(24_000) / 24_000).astype(np.float32)
    assert energy_dbfs(sine, 81) == pytest.approx(-3.01, abs=0.1)
    assert energy_dbfs(sine * np.float32(0.1), 81) == pytest.approx(-23.01, abs=0.1)


def test_silence_is_the_floor_and_every_hop_has_a_value() -> None:
    assert (energy_dbfs(np.zeros(900, np.float32), 4) == FLOOR_DBFS).all()
    assert energy_dbfs(np.zeros(0, np.float32), 3).tolist() == [FLOOR_DBFS] * 3


def test_a_step_is_seen_at_its_hop() -> None:
    sound = np.concatenate([np.zeros(6_000), np.full(6_000, 0.5)]).astype(np.float32)
    energy = energy_dbfs(sound, 41)
    assert energy[17] == FLOOR_DBFS
    assert energy[20] == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.1)
    assert energy[23] == pytest.approx(20 * np.log10(0.5), abs=0.01)
