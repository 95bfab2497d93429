"""A whole engine: it learns a voice's pitch and mean spectrum, and hums a text with them."""

import time

import numpy as np

from models.engines import contract as c
from models.engines.files import read_sound, read_tensors, speech, write_tensors
from models.engines.serving import serve

RATE_HZ, WINDOW, LETTER = 24_000, 2_048, 2_400  # a tenth of a second for each character
SAYS = {"name": "hum", "version": "1", "licence": "MIT", "task": "voice", "deterministic": True}
NEEDS = {"least_speech_seconds": 2, "resources": {"memory_mebibytes": 200}}


class Hum:
    """Its state: samples heard; log spectra and log pitches of voiced windows; their number."""

    declaration = c.Declaration.model_validate(SAYS | NEEDS | {"gives": ["weights", "checkpoint"]})

    def train(self, request: c.Training, work: c.Work) -> c.Trained:
        """A sample is a step, and each step a checkpoint."""
        ends, state = time.monotonic() + request.seconds_most, np.zeros(WINDOW // 2 + 4)
        folder, samples = work.folder, request.samples[: request.steps_most]
        if request.resume_from:
            state = np.array(read_tensors(folder, request.resume_from)["state"], float)
        while (step := int(state[0]) + 1) <= len(samples) and time.monotonic() < ends:
            sound, _ = read_sound(folder, samples[step - 1].files[0])
            for start in range(0, len(sound) - WINDOW, WINDOW // 2):
                power = np.abs(np.fft.rfft(sound[start : start + WINDOW] * np.hanning(WINDOW))) ** 2
                lag = (repeats := np.fft.irfft(power)[RATE_HZ // 400 : RATE_HZ // 70]).argmax()
                if 0 < lag < len(repeats) - 1 and repeats[lag] > 0.3 * power.mean() > 1e-3:
                    log_f0 = np.log(RATE_HZ / (lag + RATE_HZ // 400))
                    state[1:] += [*np.log(power + 1e-9), log_f0, 1]
            state[0] = step
            kept = write_tensors(folder, f"step-{step}", c.FileRole.CHECKPOINT, {"state": state})
            work.step(c.Progress(step=step, fraction=step / len(samples), checkpoint=kept))
        if not state[-1]:
            raise c.CannotGoOn(c.Complaint.UNUSABLE_SAMPLES)
        voice = state[1:-1] / state[-1]
        file = write_tensors(folder, "voice", c.FileRole.WEIGHTS, {"voice": voice})
        return c.Trained(files=(file,), steps=int(state[0]), metrics={"f0_hz": np.exp(voice[-1])})

    def generate(self, request: c.Generation, work: c.Work) -> c.Generated:
        """Harmonics of the voice's pitch under its spectrum, silent for what is no letter."""
        folder, text = work.folder, (request.text or "")[: int(10 * request.output_seconds_most)]
        if not any(letters := [letter.isalpha() for letter in text]):
            raise c.CannotGoOn(c.Complaint.UNUSABLE_TEXT)
        voice = np.array(read_tensors(folder, request.trained[0])["voice"], float)
        f0_hz = np.exp(voice[-1] + np.random.default_rng(request.seed).normal(0, 0.01))
        turns = np.outer(np.arange(1, 6_000 // f0_hz), np.arange(LETTER) / RATE_HZ * f0_hz)
        heights = np.exp(voice[np.rint(turns[:, 1] * WINDOW).astype(int)] / 2)
        hum = heights @ np.sin(2 * np.pi * turns) * np.hanning(LETTER)
        work.step(c.Progress(step=1, fraction=1))
        return speech(folder, np.outer(letters, 0.3 * hum / np.abs(hum).max()).ravel(), RATE_HZ)


if __name__ == "__main__":
    serve(Hum())
