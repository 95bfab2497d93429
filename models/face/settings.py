"""Every setting of the face room, with its source."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FaceSettings(BaseModel):
    """How faces are found, followed, measured and told apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: Literal["auto", "yunet", "hog"] = "auto"
    """`auto` is YuNet where its weights are pulled, else dlib's HOG, which needs none."""
    mesh: Literal["mediapipe"] = "mediapipe"
    mesh_runtime: Literal["auto", "opencv", "litert"] = "auto"
    """`auto` is LiteRT where `ai-edge-litert` is installed, else OpenCV."""
    identity: Literal["dlib"] = "dlib"

    detection_side_pixels: int = Field(default=320, ge=160)
    """Longer side of the picture the detector sees. YuNet finds faces from about 10 px
    (its card in OpenCV's model zoo), so from 40 px in a 1280-pixel picture."""
    detection_side_pixels_fine: int = Field(default=640, ge=160)
    """Second look, at twice the scale, where the first one finds nobody."""
    detection_score_least: float = Field(default=0.6, ge=0, le=1)
    """At this score YuNet misses nobody on 46 shared photographs; what it sees besides (2 of them)
    the mesh's own score turns down."""
    detection_interval_seconds: float = Field(default=1.0, gt=0)
    """While faces are followed: how long someone who joins them may go unseen."""
    search_interval_seconds: float = Field(default=0.2, gt=0)
    """While nobody is seen."""

    presence_least: float = Field(default=0.5, ge=0, le=1)
    """The mesh's own face score; the threshold of MediaPipe's face landmark graph."""
    region_scale: float = Field(default=1.5, gt=1)
    """Side of the mesh's region over the longer side of the face (MediaPipe's face landmark
    graph)."""
    face_pixels_least: float = Field(default=24, gt=0)
    """Smaller faces give no landmarks worth keeping: the mesh sees them eight times enlarged."""
    motion_most: float = Field(default=0.5, gt=0)
    """Shift of a face between two frames, in face heights, beyond which it is a new track."""
    growth_most: float = Field(default=1.4, gt=1)
    """Change of size between two frames beyond which it is a new track."""
    faces_most: int = Field(default=4, ge=1)
    """Faces followed at once; bounds time and memory."""
    background_ratio: float = Field(default=0.4, ge=0, lt=1)
    """A face below this share of the largest face's height is background (a poster, a colleague
    at the back of the room) and is not followed. People who talk to each other in one picture sit
    at similar distances from the camera; at 0.4 the other one sits 2.5 times as far away."""

    segment_seconds: float = Field(default=4.0, gt=0, le=4)
    segment_frames_most: int = Field(default=300, ge=2, le=300)
    """With 12 aligned faces, 12.4 MiB: below the 16 MiB of a feature object at any frame rate."""
    aligned_interval_seconds: float = Field(default=0.4, ge=0.35)
    """Sharp crops for training and portraits come from these frames alone."""
    aligned_pixels: Literal[256] = 256
    mouth_pixels: Literal[96] = 96

    frontal_degrees: float = Field(default=25.0, gt=0)
    """Yaw and pitch within this count as frontal (contract of FaceMeasurements)."""
    gap_seconds_least: float = Field(default=0.1, ge=0)
    """Shorter stretches without a face are blinks of the detector and not listed."""

    identity_yaw_degrees_most: float = Field(default=40.0, gt=0)
    """Beyond it the identity network, trained on faces with both eyes visible, is unreliable."""
    identity_pixels_least: float = Field(default=40.0, gt=0)
    """Eye distance would fall below 15 px; the network's own input is 150 px."""
    identity_interval_seconds: float = Field(default=12.0, gt=0)
    """A followed face is compared with its person again after this time: every third segment,
    since one embedding costs as much as 20 frames of mesh."""
    people_most: int = Field(default=16, ge=2)
    """People kept apart in one recording; whoever comes after them is counted with the last."""
    second_person_seconds: float = Field(default=2.0, gt=0)
    """Someone in the picture beside the subject for less is a passer-by."""
    second_person_share: float = Field(default=0.1, gt=0, lt=1)
    """...unless that is this share of the recording's time with faces: short uploads."""
    second_subject_seconds: float = Field(default=0.5, gt=0)
    """Someone who is the subject of a shot of their own counts from here on: nobody passes by
    alone after a cut."""

    seconds_least: float = Field(default=10.0, gt=0)
    """A landmark-conditioned renderer trained on clips of 4 and 8 s did no better than a held
    frame; trained on 16 s it did."""
    seconds_good: float = Field(default=120.0, gt=0)
    """Person-specific talking heads ask for minutes (Ultralight-Digital-Human: 3 to 5); what a
    person learns from 16 s was still rising with length."""
    face_pixels_usable: float = Field(default=96.0, gt=0)
    """Wav2Lip (Prajwal et al. 2020) renders faces at 96 px; a smaller face holds less than that."""
    face_pixels_good: float = Field(default=256.0, gt=0)
    """Side of the aligned crop: below it the crop is enlarged and shows no new detail."""
    sharpness_usable: float = Field(default=15.0, gt=0)
    """Median of 46 real portraits after a blur of 2 px (Gaussian sigma) at a face height of 128:
    what is left is a face of about 32 px."""
    sharpness_good: float = Field(default=60.0, gt=0)
    """The same after a blur of 1 px; untouched, 9 of 10 portraits score above 200."""
    eye_opening_good: float = Field(default=0.2, gt=0)
    """Eye aspect ratio: below it eyes are closing (Soukupova and Cech 2016)."""
    exposure_dark: float = Field(default=0.2, gt=0, lt=1)
    """Mean luma of the face; 46 real portraits of light and dark skin lie between 0.31 and 0.66,
    and a fifth of full scale is two stops below their middle."""
    exposure_bright: float = Field(default=0.85, gt=0, lt=1)
    """Above it skin is at the end of the scale and has lost its shading."""
    frontal_usable: float = Field(default=0.2, ge=0, le=1)
    """Below it hardly two seconds of the least usable length show the mouth from the front."""
    frontal_good: float = Field(default=0.6, ge=0, le=1)
    """Every shared talking clip is above 0.9; below 0.6 most of a minute's lips are seen aslant."""
    seen_good: float = Field(default=0.8, ge=0, le=1)
    """Share of the picture's frames in which a face should be seen: below it a fifth of what was
    recorded is of no use."""
