from __future__ import annotations

import numpy as np
import pytest

from models.voice.plots import MOST_BINS, RecordingPlots


@pytest.mark.parametrize("seconds", [0, 1, 29, 61, 600])
def test_pictures_stay_small_and_cover_the_recording(seconds: int) -> None:
    plots = RecordingPlots()
    for second in range(seconds):
        plots.push_samples(np.full(24_000, second / 1000, np.float32))
        plots.push_log_mel(np.full((80, 80), -5.0, np.float32))
        plots.add_f0(second * 80, np.full(80, 120.0, np.float32))
    plots.push_samples(np.zeros(0, np.float32), last=True)
    tensors = plots.tensors()
    bins = tensors["waveform"].shape[1]
    assert bins <= MOST_BINS
    assert tensors["log_mel"].shape == (80, bins)
    assert tensors["f0_hz"].shape == (bins,)
    assert tensors["bin_seconds"].shape == (1,)
    assert bins * tensors["bin_seconds"][0] == pytest.approx(seconds, abs=0.7)
    if seconds:
        assert tensors["waveform"][1].max() == pytest.approx((seconds - 1) / 1000)
        np.testing.assert_allclose(tensors["f0_hz"], 120, rtol=1e-5)
        assert np.ptp(tensors["log_mel"]) <= 1
