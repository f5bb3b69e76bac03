"""Pictures on their way to a provider: each encoded and uploaded once, and within what is taken there."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from botocore.client import BaseClient
from fakes import Desk, FakeClock, Paper, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.fitting import Limits, fitted
from luma_ray.nodes.generation.hosting import Hosting
from luma_ray.nodes.generation.offer import Job
from luma_ray.nodes.generation.request import Operation
from luma_ray.nodes.hosting.s3 import S3
from luma_ray.nodes.media import images
from PIL import Image

SHOTS = 10
SMALL = Limits(title="Paper", sides=(16, 100))


def grain(width, height, levels=256, seed=0):
    """Pixels that no lossless format makes small."""
    return np.random.default_rng(seed).integers(0, levels, (height, width, 3), np.uint8)


def still(width, height, levels=256, seed=0):
    return images.still(images.tensor(grain(width, height, levels, seed)), name="first_frame")


def opened(content):
    with Image.open(io.BytesIO(content)) as file:
        return file.format, np.array(file)


@pytest.fixture
def encoded(monkeypatch):
    """The files that are made, by format."""
    made = []
    save = Image.Image.save

    def counted(self, file, format, **options):
        made.append(format)
        save(self, file, format, **options)

    monkeypatch.setattr(Image.Image, "save", counted)
    return made


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "a-key-of-some-length")
    return Desk(tmp_path)


def limited(desk, **limits):
    """*desk* at a provider whose offers say *limits* of pictures."""
    own = tuple(replace(offer, **limits) for offer in Paper.offers)
    desk.provider = type("Limited", (Paper,), {"offers": own})()
    desk.lifecycle = desk.opened()
    return desk


def shot(first_frame, take=1):
    return text(operation=Operation.IMAGE_TO_VIDEO, first_frame=first_frame, take=take)


def ten_at_once(desk, tensor):
    """Ten shots of ten nodes that were given one IMAGE, started together."""
    together, pause = threading.Barrier(SHOTS), threading.Event()

    def make(take):
        clock = FakeClock()
        clock.on_sleep = lambda: pause.wait(0.005)  # or those who wait would keep the one who works from it
        first_frame = images.still(tensor, name="first_frame")
        together.wait()
        return desk.generate(shot(first_frame, take), clock=clock)

    with ThreadPoolExecutor(SHOTS) as pool:
        return list(pool.map(make, range(1, SHOTS + 1)))


class Busy(Paper):
    """Takes pictures along or apart, and is slow enough for all shots to meet there."""

    def __init__(self, life):
        super().__init__()
        self.upload_life = life
        self.uploads = []

    def upload(self, client, still):
        content = still.file
        self.uploads.append(threading.current_thread().name)
        threading.Event().wait(0.05)
        return f"{len(content)}:{still.sha256}"


class Shelf(Hosting):
    name = "shelf"
    title = "Shelf"
    settings = ()
    how = ""
    life = 7200

    def __init__(self, largest=None):
        self.published = []
        self.largest_picture = largest

    def publish(self, still, credentials, clock):
        self.published.append((still.media_type, len(still.file)))
        threading.Event().wait(0.05)
        return f"https://shelf.test/{len(self.published)}.{still.suffix}"


# -- once ---------------------------------------------------------------------------------------------------


def test_ten_shots_with_one_picture_that_goes_along_encode_it_once(desk, encoded):
    desk.provider = Busy(life=0)
    desk.lifecycle = desk.opened()
    ten_at_once(desk, images.tensor(grain(320, 180, seed=1)))
    assert encoded == ["PNG"]
    assert len(desk.provider.submitted) == SHOTS
    assert len({str(body["pictures"]) for body in desk.provider.submitted}) == 1


def test_ten_shots_that_start_together_upload_their_one_picture_once(desk, encoded):
    desk.provider = Busy(life=7200)
    desk.lifecycle = desk.opened()
    ten_at_once(desk, images.tensor(grain(320, 180, seed=2)))
    assert encoded == ["PNG"]
    assert len(desk.provider.uploads) == 1
    assert len(desk.provider.submitted) == SHOTS


def test_ten_shots_that_start_together_put_their_one_picture_into_a_bucket_once(
    desk, bucket, encoded, monkeypatch
):
    desk.provider.takes_urls_only = True
    desk.lifecycle = desk.opened(hosts=[S3()])
    put, ask = [], BaseClient._make_api_call

    def slowly(self, operation, arguments):
        """As over a long line: whoever asks whether a picture is there gets the answer when others have asked."""
        if operation == "PutObject":
            put.append(arguments["Key"])
        try:
            return ask(self, operation, arguments)
        finally:
            if operation == "HeadObject":
                threading.Event().wait(0.5)

    monkeypatch.setattr(BaseClient, "_make_api_call", slowly)
    ten_at_once(desk, images.tensor(grain(320, 180, seed=3)))
    assert encoded == ["PNG"]
    assert len(put) == 1
    assert len(list(bucket.objects.all())) == 1
    assert len(desk.provider.submitted) == SHOTS


def test_another_account_gets_an_upload_of_its_own_of_the_same_file(desk, encoded, monkeypatch):
    desk.provider = Busy(life=7200)
    desk.lifecycle = desk.opened()
    first_frame = still(320, 180, seed=4)
    desk.generate(shot(first_frame, 1))
    monkeypatch.setenv("PAPER_KEY", "the-key-of-another-account")
    desk.generate(shot(first_frame, 2))
    assert len(desk.provider.uploads) == 2
    assert encoded == ["PNG"]


def test_stills_of_the_same_pixels_share_them_and_nothing_is_kept_of_them_afterwards():
    one, other = still(64, 48, seed=5), still(64, 48, seed=5)
    assert images.pixels(one) is images.pixels(other)
    digest = one.sha256
    del one, other
    assert digest not in images._encoders


def test_a_file_is_kept_for_the_next_run_when_nothing_of_its_picture_is_left(encoded):
    first = still(64, 48, seed=6).encode("image/png")
    assert still(64, 48, seed=6).encode("image/png") is first
    assert encoded == ["PNG"]


def test_no_more_files_are_kept_than_fit_but_always_the_newest():
    kept = images._Files(100)
    for number in range(5):
        kept.keep((str(number), "image/png"), bytes(40))
    assert [kept.get((str(number), "image/png")) is not None for number in range(5)] == [False] * 3 + [
        True
    ] * 2
    kept.get(("3", "image/png"))
    kept.keep(("5", "image/png"), bytes(40))
    assert kept.get(("3", "image/png")) is not None
    assert kept.get(("4", "image/png")) is None
    kept.keep(("large", "image/png"), bytes(1000))
    assert kept.get(("large", "image/png")) is not None
    assert kept.get(("5", "image/png")) is None


# -- as it is taken -----------------------------------------------------------------------------------------


def test_a_picture_within_the_limits_is_sent_as_it_is_and_is_not_encoded_to_know_that(encoded):
    made = still(100, 16, seed=7)
    sent = fitted(made, replace(SMALL, bytes=100 * 16 * 4 + 4096))
    assert sent.still is made
    assert sent.how == ""
    assert encoded == []


def test_without_documented_limits_nothing_is_changed(encoded):
    made = still(2000, 1500, seed=8)
    assert fitted(made, Limits(title="Paper"), Limits(title="Shelf")).still is made
    assert encoded == []


@pytest.mark.parametrize(
    ("size", "becomes"),
    [((300, 200), (100, 67)), ((200, 300), (67, 100)), ((101, 101), (100, 100)), ((300, 48), (100, 16))],
)
def test_a_side_that_is_too_long_is_scaled_to_the_limit_and_the_shape_stays(size, becomes):
    sent = fitted(still(*size, seed=9), SMALL)
    assert (sent.still.width, sent.still.height) == becomes
    assert sent.still.media_type == "image/png"
    assert (
        sent.how == f"{size[0]}x{size[1]} sent as {becomes[0]}x{becomes[1]} (Paper takes sides of up to 100)"
    )


def test_what_is_scaled_is_the_whole_picture_averaged_not_picked():
    checks = np.indices((200, 200)).sum(0) % 2 * 255
    made = images.still(
        images.tensor(np.repeat(checks[..., None], 3, -1).astype(np.uint8)), name="first_frame"
    )
    pixels = opened(fitted(made, SMALL).still.file)[1]
    assert abs(pixels[10:-10, 10:-10].astype(int) - 127).max() <= 2


def test_a_file_that_is_too_large_is_sent_as_jpeg_at_the_same_size():
    sent = fitted(still(200, 100, levels=120, seed=10), replace(SMALL, sides=None, bytes=40_000))
    assert opened(sent.still.file)[0] == "JPEG"
    assert opened(sent.still.file)[1].shape == (100, 200, 3)
    assert len(sent.still.file) <= 40_000
    assert sent.how == "sent as JPEG (Paper takes files of up to 0.04 MB)"


def test_a_smaller_file_without_loss_comes_before_a_lossy_one_where_it_is_taken():
    flat = images.still(images.tensor(grain(200, 100, levels=8, seed=11)), name="first_frame")
    png, webp = len(flat.encode("image/png")), len(flat.encode("image/webp"))
    assert webp < png
    limits = Limits(
        title="Paper", bytes=(png + webp) // 2, media_types=("image/png", "image/webp", "image/jpeg")
    )
    sent = fitted(flat, limits)
    assert sent.how.startswith("sent as WebP without loss (Paper takes files of up to")
    np.testing.assert_array_equal(opened(sent.still.file)[1], images.pixels(flat))


def test_a_place_that_wants_large_pictures_lossy_gets_them_so_and_small_ones_as_they_are():
    limits = Limits(title="Paper", bytes=10_000_000, lossless_bytes=40_000)
    assert fitted(still(200, 100, seed=12), limits).how == (
        "sent as JPEG (Paper takes lossless files of up to 0.04 MB)"
    )
    assert fitted(still(20, 10, seed=12), limits).how == ""


def test_what_is_too_large_even_as_jpeg_is_made_smaller_until_it_fits():
    made = still(400, 300, seed=13)
    sent = fitted(made, Limits(title="Paper", bytes=30_000))
    assert 15_000 < len(sent.still.file) <= 30_000
    assert sent.still.width / sent.still.height == pytest.approx(4 / 3, rel=0.02)
    assert sent.how == (
        f"400x300 sent as {sent.still.width}x{sent.still.height} JPEG (Paper takes files of up to 0.03 MB)"
    )


def test_both_the_provider_and_the_place_of_its_pictures_are_heard():
    sent = fitted(still(300, 300, seed=14), SMALL, Limits(title="Shelf", bytes=20_000))
    assert sent.how == (
        "300x300 sent as 100x100 JPEG (Paper takes sides of up to 100; Shelf takes files of up to 0.02 MB)"
    )


@pytest.mark.parametrize("limits", [Limits(title="Paper", sides=(50, 100)), Limits(title="Paper", bytes=50)])
def test_what_cannot_be_made_to_fit_is_refused_in_words(limits):
    with pytest.raises(
        errors.UploadFailed, match=r"900x60 pixels cannot be made to fit: Paper takes .*billed"
    ):
        fitted(still(900, 60, seed=15), limits)


# -- said ---------------------------------------------------------------------------------------------------


def test_what_is_sent_smaller_stands_on_the_node_before_it_is_sent_and_with_the_clip(desk):
    limited(desk, image_sides=(16, 100))
    note = "first_frame 300x200 sent as 100x67 (Paper takes sides of up to 100)"
    clip = desk.generate(shot(still(300, 200, seed=16)))
    said = [words for words, _ in desk.reports]
    assert note in clip.notes
    assert said.index(note) < said.index("uploading 100x67 to Paper")
    assert not any("sent as" in each for each in desk.generate(shot(still(300, 200, seed=16))).notes)


def test_two_inputs_with_one_picture_are_told_in_one_line(desk):
    own = tuple(
        replace(
            offer,
            operation=Operation.KEYFRAMES_TO_VIDEO,
            keyframes=frozenset({("image", "image")}),
            image_sides=(16, 100),
        )
        for offer in Paper.offers
    )
    desk.provider = type("Limited", (Paper,), {"offers": own})()
    desk.lifecycle = desk.opened()
    frame = still(200, 100, seed=17)
    request = text(operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=frame, last_frame=frame)
    assert "first_frame, last_frame 200x100 sent as 100x50 (Paper takes sides of up to 100)" in (
        desk.generate(request).notes
    )


def test_what_is_sent_smaller_is_the_same_request(desk):
    """Who serves it must not decide whether a clip is bought again."""
    limited(desk, image_sides=(16, 100))
    frame = still(300, 200, seed=18)
    desk.generate(shot(frame))
    (body,) = desk.provider.submitted
    (sent,) = body["pictures"].values()
    assert list(body["pictures"]) == [frame.sha256]
    assert sent != f"uploaded:{frame.sha256}"
    assert desk.generate(shot(frame)).recalled


def test_one_place_gives_a_picture_to_each_provider_in_the_form_that_it_takes(desk):
    shelf, frame = Shelf(), still(300, 200, seed=19)
    desk.provider.takes_urls_only = True
    desk.lifecycle = desk.opened(hosts=[shelf])
    desk.generate(shot(frame, 1))
    as_it_is = desk.provider.submitted
    limited(desk, image_sides=(16, 100))
    desk.provider.takes_urls_only = True
    desk.provider.submits = [Job(id="two"), Job(id="three")]
    desk.lifecycle = desk.opened(hosts=[shelf])
    desk.generate(shot(frame, 2))
    desk.generate(shot(frame, 3))
    assert len(shelf.published) == 2
    urls = [body["pictures"][frame.sha256] for body in (*as_it_is, *desk.provider.submitted)]
    assert urls == ["https://shelf.test/1.png", "https://shelf.test/2.png", "https://shelf.test/2.png"]


def test_a_picture_in_another_form_is_forgotten_with_its_picture(desk):
    limited(desk, image_sides=(16, 100))
    shelf, frame = Shelf(), still(300, 200, seed=20)
    desk.provider.takes_urls_only = True
    desk.lifecycle = desk.opened(hosts=[shelf])
    desk.generate(shot(frame, 1))
    desk.provider.submits = [errors.Rejected("the picture's URL could not be fetched."), None]
    with pytest.raises(errors.Rejected):
        desk.generate(shot(frame, 2))
    desk.provider.submits = []
    desk.generate(shot(frame, 3))
    assert len(shelf.published) == 2


def test_a_place_with_a_limit_of_its_own_gets_a_file_within_it(desk):
    shelf = Shelf(largest=60_000)
    desk.provider.takes_urls_only = True
    desk.lifecycle = desk.opened(hosts=[shelf])
    clip = desk.generate(shot(still(200, 160, levels=120, seed=21)))
    assert shelf.published[0][0] == "image/jpeg"
    assert shelf.published[0][1] <= 60_000
    assert "first_frame sent as JPEG (Shelf takes files of up to 0.06 MB)" in clip.notes


def test_a_smaller_picture_is_known_again_by_the_hash_of_the_one_that_was_asked_for():
    asked = still(300, 200, seed=23)
    sent = fitted(asked, SMALL).still
    assert sent.sha256 != asked.sha256
    assert sent.original == asked.sha256
    assert fitted(asked, Limits(title="Paper", bytes=50_000)).still.original == asked.sha256


def test_in_a_bucket_each_form_of_a_picture_has_a_name_of_its_own(bucket, tmp_path):
    asked = still(200, 100, levels=120, seed=24)
    smaller, lossy = fitted(asked, SMALL).still, fitted(asked, Limits(title="Paper", bytes=40_000)).still
    for each in (asked, smaller, lossy, smaller):
        S3().publish(each, Credentials(tmp_path), FakeClock())
    kept = {item.key.removeprefix(f"luma-ray/{asked.sha256}"): item.get() for item in bucket.objects.all()}
    assert {name: file["ContentType"] for name, file in kept.items()} == {
        ".png": "image/png",
        "-100x50.png": "image/png",
        ".jpg": "image/jpeg",
    }
    assert kept[".jpg"]["Body"].read() == lossy.file


def test_an_unusable_picture_costs_nothing_and_uploads_nothing(desk):
    limited(desk, image_bytes=50)
    uploads = []
    desk.provider.upload = lambda client, still: uploads.append(still)
    with pytest.raises(errors.UploadFailed):
        desk.generate(shot(still(200, 160, seed=22)))
    assert uploads == []
    assert desk.provider.submitted == []
    assert desk.lifecycle.journal.entries() == []
