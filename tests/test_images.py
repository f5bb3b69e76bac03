from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.generation.request import StillImage
from luma_ray.nodes.media import images
from PIL import Image


def picture(height=48, width=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def still(height=48, width=64, seed=0):
    return images.still(images.tensor(picture(height, width, seed)), name="first_frame")


def refusal(image):
    with pytest.raises(InvalidInput) as caught:
        images.still(image, name="first_frame")
    words = str(caught.value)
    assert words.startswith("first_frame ")
    return words


def test_a_batch_of_several_images_is_refused_and_the_node_that_picks_one_is_named():
    assert refusal(torch.rand(5, 8, 8, 3)) == (
        "first_frame holds 5 images, and one frame is meant: pick one with 'Image From Batch' "
        "(index 0 is the first, 4 the last)."
    )


def test_a_batch_of_one_and_a_picture_without_batch_are_the_same_still():
    image = torch.rand(1, 8, 10, 3)
    assert images.still(image, name="first_frame") == images.still(image[0], name="last_frame")


def test_something_that_is_no_tensor_is_refused():
    assert "is not an image but list" in refusal([[1, 2]])


@pytest.mark.parametrize("shape", [(8, 8), (1, 1, 8, 8, 3), ()])
def test_a_wrong_number_of_dimensions_is_refused(shape):
    assert f"has {len(shape)} dimensions" in refusal(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 0, 8, 3), (1, 8, 0, 3)])
def test_an_empty_picture_is_refused(shape):
    assert "is empty" in refusal(torch.zeros(shape))


def test_grayscale_is_refused():
    assert "is grayscale" in refusal(torch.zeros(1, 8, 8, 1))


def test_two_channels_are_refused():
    assert "has 2 channels" in refusal(torch.zeros(1, 8, 8, 2))


def test_colours_before_rows_are_refused():
    assert "has its colours before its rows (1x3x8x9)" in refusal(torch.zeros(1, 3, 8, 9))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_refused(value):
    image = torch.zeros(1, 8, 8, 3)
    image[0, 3, 3, 1] = value
    assert "NaN or infinity" in refusal(image)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_integers_other_than_bytes_are_refused(dtype):
    assert str(dtype).removeprefix("torch.") in refusal(torch.zeros(1, 8, 8, 3, dtype=dtype))


def test_transparency_is_refused_and_both_ways_out_are_named():
    image = torch.ones(1, 8, 8, 4)
    image[0, 0, 0, 3] = 0.9
    words = refusal(image)
    assert "'ImageCompositeMasked'" in words
    assert "'Split Image with Alpha'" in words


def test_an_opaque_fourth_channel_is_dropped():
    rgb = images.tensor(picture())
    rgba = torch.cat([rgb, torch.ones(1, 48, 64, 1)], dim=-1)
    assert images.still(rgba, name="a") == images.still(rgb, name="a")


def test_values_outside_are_clamped_not_wrapped():
    image = torch.tensor([-0.5, 1.5, 300.0]).expand(1, 4, 4, 3)
    assert images.pixels(images.still(image, name="a"))[0, 0].tolist() == [0, 255, 255]


def test_values_are_rounded_not_truncated():
    image = torch.tensor([99.6 / 255, 99.4 / 255, 0.999]).expand(1, 4, 4, 3)
    assert images.pixels(images.still(image, name="a"))[0, 0].tolist() == [100, 99, 255]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_every_level_survives_the_way_there_and_back_in_each_float_type(dtype):
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    image = images.tensor(levels).to(dtype)
    np.testing.assert_array_equal(images.pixels(images.still(image, name="a")), levels)


def test_bfloat16_is_taken_at_its_own_precision():
    image = torch.full((1, 4, 4, 3), 0.5, dtype=torch.bfloat16)
    assert images.pixels(images.still(image, name="a")).max() == 128


def test_bytes_are_taken_as_levels():
    levels = picture()
    np.testing.assert_array_equal(images.pixels(images.still(torch.from_numpy(levels), name="a")), levels)


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 97])
def test_every_row_is_converted_whatever_their_number(rows):
    levels = picture(rows, 5, seed=rows)
    np.testing.assert_array_equal(images.pixels(images.still(images.tensor(levels), name="a")), levels)


@pytest.mark.parametrize("row", [0, 40, 99])
def test_a_value_that_is_no_number_is_found_in_every_row(row):
    image = torch.zeros(1, 100, 8, 3)
    image[0, row, 7, 2] = float("nan")
    assert "NaN or infinity" in refusal(image)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_input_is_not_changed_and_later_changes_of_it_do_not_show(dtype):
    image = (torch.rand(1, 8, 8, 3) * 3 - 1).to(dtype)
    before = image.clone()
    made = images.still(image, name="a")
    kept = images.pixels(made).copy()
    assert torch.equal(image, before)
    image += 1
    np.testing.assert_array_equal(images.pixels(made), kept)


def test_an_inference_tensor_is_accepted_outside_inference_mode():
    with torch.inference_mode():
        image = torch.rand(1, 8, 8, 3) * 2
    assert image.is_inference()
    assert images.still(image, name="a").width == 8


def test_a_tensor_that_needs_gradients_is_accepted():
    assert images.still(torch.rand(1, 8, 8, 3, requires_grad=True), name="a").height == 8


def test_a_strided_view_is_read_in_its_own_order():
    image = images.tensor(picture()).transpose(1, 2).flip(2)
    np.testing.assert_array_equal(
        images.pixels(images.still(image, name="a")), picture().transpose(1, 0, 2)[:, ::-1]
    )


def test_the_same_pixels_have_the_same_hash_whatever_the_tensor():
    levels = picture()
    as_bytes = images.still(torch.from_numpy(levels)[None], name="a")
    as_floats = images.still(images.tensor(levels).double(), name="b")
    assert as_bytes.sha256 == as_floats.sha256
    assert as_bytes is not as_floats


def test_other_pixels_or_another_shape_have_another_hash():
    levels = picture(48, 64)
    changed = levels.copy()
    changed[0, 0, 0] ^= 1
    hashes = {
        images.still(images.tensor(array), name="a").sha256
        for array in (levels, changed, levels.reshape(64, 48, 3))
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(("media_type", "name"), [("image/png", "PNG"), ("image/webp", "WEBP")])
def test_lossless_files_hold_the_exact_pixels(media_type, name):
    with Image.open(io.BytesIO(still().encode(media_type))) as file:
        assert (file.format, file.mode) == (name, "RGB")
        np.testing.assert_array_equal(np.array(file), picture())


def test_jpeg_keeps_full_chroma():
    with Image.open(io.BytesIO(still().encode("image/jpeg"))) as file:
        assert file.format == "JPEG"
        assert [layer[1:3] for layer in file.layer] == [(1, 1)] * 3


def test_a_png_holds_nothing_but_the_picture():
    data = still().encode("image/png")
    kinds, place = set(), 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kinds.add(data[place + 4 : place + 8])
        place += 12 + length
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}


def test_an_unknown_media_type_is_an_error():
    with pytest.raises(ValueError, match="image/gif"):
        still().encode("image/gif")


def test_nothing_is_encoded_before_it_is_asked_for_and_then_once_for_all_threads(monkeypatch):
    encoded = []
    save = Image.Image.save

    def counted(self, file, format, **options):
        encoded.append(format)
        save(self, file, format, **options)

    monkeypatch.setattr(Image.Image, "save", counted)
    made = still(seed=199)
    assert encoded == []
    together = threading.Barrier(4)

    def ask():
        together.wait()
        return made.encode("image/png")

    with ThreadPoolExecutor(4) as pool:
        files = [waiting.result() for waiting in [pool.submit(ask) for _ in range(4)]]
    made.encode("image/jpeg")
    assert encoded == ["PNG", "JPEG"]
    assert all(file is files[0] for file in files)


def test_pixels_of_a_still_from_elsewhere_are_decoded_from_its_png():
    made = still()

    def encode(media_type):
        return made.encode(media_type)

    foreign = StillImage(width=64, height=48, sha256=made.sha256, encode=encode)
    np.testing.assert_array_equal(images.pixels(foreign), picture())


def test_pixels_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        images.pixels(still())[0, 0, 0] = 1


def test_fit_crops_rows_from_the_middle_and_says_so():
    made = still(400, 600)
    fitted, loss = images.fit(made, "16:9")
    assert loss == "63 of 400 rows"
    assert (fitted.width, fitted.height) == (600, 337)
    np.testing.assert_array_equal(images.pixels(fitted), picture(400, 600)[31 : 31 + 337])


def test_fit_crops_columns_from_the_middle():
    fitted, loss = images.fit(still(90, 160), "1:1")
    assert loss == "70 of 160 columns"
    np.testing.assert_array_equal(images.pixels(fitted), picture(90, 160)[:, 35:125])


def test_fit_leaves_a_picture_within_one_percent_as_it_is():
    made = still(721, 1280)
    assert images.fit(made, "16:9") == (made, "")
    assert images.fit(made, "16:9")[0] is made


@pytest.mark.parametrize(
    ("ratio", "words"),
    [("16:9", "16:9"), ("1920:1080", "16:9"), ("1280:601", "2.13:1"), ("4:2", "4:2"), ("101:150", "0.67:1")],
)
def test_a_shape_is_told_as_a_ratio_that_people_know_or_as_a_number(ratio, words):
    assert images.shape_in_words(ratio) == words


@pytest.mark.parametrize("ratio", ["wide", "16", "16:0", "0:9", "-16:9", "16:9:1"])
def test_what_is_no_aspect_ratio_is_refused(ratio):
    with pytest.raises(InvalidInput, match="aspect ratio"):
        images.fit(still(), ratio)


def test_match_gives_exactly_the_size_asked_for():
    matched = images.match(still(100, 300), 64, 48)
    assert (matched.width, matched.height) == (64, 48)


def test_match_crops_the_middle_and_does_not_stretch():
    levels = np.zeros((100, 300, 3), np.uint8)
    levels[:, 120:180] = 255
    matched = images.match(images.still(images.tensor(levels), name="a"), 50, 50)
    bright = images.pixels(matched)[25, :, 0] > 127
    assert np.flatnonzero(bright).tolist() == list(range(10, 40))


def test_match_averages_fine_detail_instead_of_picking_pixels():
    levels = np.zeros((128, 128, 3), np.uint8)
    levels[::2] = 255
    matched = images.pixels(images.match(images.still(images.tensor(levels), name="a"), 16, 16))
    assert 120 <= matched.min() <= matched.max() <= 135


def test_match_leaves_a_picture_of_the_size_as_it_is():
    made = still()
    assert images.match(made, 64, 48) is made


@pytest.mark.parametrize(
    ("width", "height", "nearest"),
    [(1920, 1080, "16:9"), (600, 400, "4:3"), (1000, 1010, "1:1"), (1, 5, "9:21"), (3000, 1000, "21:9")],
)
def test_the_nearest_aspect_ratio_is_found(width, height, nearest):
    choices = ["1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21"]
    assert images.nearest_aspect_ratio(width, height, choices) == nearest


def test_nearness_of_ratios_is_the_same_for_upright_and_lying_pictures():
    assert images.nearest_aspect_ratio(140, 100, ["1:1", "2:1"]) == "1:1"
    assert images.nearest_aspect_ratio(100, 140, ["1:1", "1:2"]) == "1:1"


def test_a_tensor_is_exactly_the_levels_divided_by_255():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    made = images.tensor(levels)
    assert made.dtype == torch.float32
    expected = np.arange(256, dtype=np.float32) / np.float32(255)
    np.testing.assert_array_equal(made[0, ..., 0].numpy().ravel(), expected)


def test_a_single_picture_becomes_a_batch_of_one():
    assert images.tensor(picture()).shape == (1, 48, 64, 3)
    assert images.tensor(np.stack([picture()] * 2)).shape == (2, 48, 64, 3)


def test_a_picture_file_is_read_exactly(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(picture()).save(path)
    assert images.read(path) == still()


def test_a_photograph_is_turned_as_its_camera_noted(tmp_path):
    path = tmp_path / "photograph.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture()).save(path, exif=exif)
    np.testing.assert_array_equal(images.pixels(images.read(path)), np.rot90(picture(), -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_transparent_file_is_refused_whatever_its_kind(tmp_path, mode):
    path = tmp_path / "picture.png"
    clear = Image.new("RGBA", (8, 8), (200, 10, 10, 0))
    if mode == "P":
        Image.new("P", (8, 8)).save(path, transparency=0)
    else:
        clear.convert(mode).save(path)
    with pytest.raises(InvalidInput, match=r"picture\.png has transparent parts"):
        images.read(path)


def test_an_opaque_file_with_alpha_is_read(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(picture()).convert("RGBA").save(path)
    assert images.read(path) == still()


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("<html>")
    with pytest.raises(InvalidInput, match=r"picture\.png cannot be read as a picture"):
        images.read(path)


def sixteen_bits(path, pixel_format):
    """A gradient over all levels of 16 bits, as FFmpeg writes it; and the levels of 8 bits that come nearest."""
    values = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    colours = np.stack([values, values[::-1], values], axis=-1)
    given = values if pixel_format == "gray16be" else colours
    frame = av.VideoFrame.from_ndarray(given, format="gray16le" if given.ndim == 2 else "rgb48le")
    writer = av.CodecContext.create(path.suffix[1:].replace("tif", "tiff"), "w")
    writer.width, writer.height, writer.time_base = 64, 48, Fraction(1)
    writer.pix_fmt = pixel_format
    packets = writer.encode(frame.reformat(format=pixel_format)) + writer.encode(None)
    path.write_bytes(b"".join(map(bytes, packets)))
    exact = np.rint(given / 257).astype(np.uint8)
    return np.stack([exact] * 3, axis=-1) if given.ndim == 2 else exact


@pytest.mark.parametrize(
    ("name", "pixel_format"),
    [("a.png", "gray16be"), ("a.png", "rgb48be"), ("a.png", "rgba64be"), ("a.tif", "rgb48le")],
)
def test_a_file_of_16_bits_is_rounded_to_the_nearest_level(tmp_path, name, pixel_format):
    path = tmp_path / f"shot %d {name}"
    exact = sixteen_bits(path, pixel_format)
    np.testing.assert_array_equal(images.pixels(images.read(path)), exact)


def test_a_transparent_file_of_16_bits_is_refused(tmp_path):
    frame = av.VideoFrame.from_ndarray(np.full((8, 8, 4), 30000, np.uint16), format="rgba64le")
    writer = av.CodecContext.create("png", "w")
    writer.width, writer.height, writer.time_base, writer.pix_fmt = 8, 8, Fraction(1), "rgba64be"
    packets = writer.encode(frame.reformat(format="rgba64be")) + writer.encode(None)
    (tmp_path / "a.png").write_bytes(b"".join(map(bytes, packets)))
    with pytest.raises(InvalidInput, match="transparent"):
        images.read(tmp_path / "a.png")


def test_a_file_of_floats_is_refused_instead_of_becoming_black(tmp_path):
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InvalidInput, match="no levels of colour"):
        images.read(tmp_path / "a.tiff")


def test_a_missing_picture_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="FileNotFoundError"):
        images.read(tmp_path / "picture.png")
