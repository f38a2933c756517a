"""Rules of server.gateway.photo_cleaning: what is taken, what is refused, and that nothing but pixels survives."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image, ImageCms
from PIL.Image import Transpose

from server.gateway import photo_cleaning
from server.gateway.photo_cleaning import (
    UPLOAD_BYTES_MAX,
    CleanedPhoto,
    PhotoFault,
    PhotoRefused,
    clean_photo,
    difference_hash,
)

SAMPLES = Path(__file__).parent / "samples"
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 200, 30), (30, 30, 200), (255, 255, 255)
TOLERANCE = 12
"""What JPEG at our quality may change in a flat colour."""


def corners(size: tuple[int, int] = (96, 64), mode: str = "RGB") -> Image.Image:
    """Red and green above, blue and white below: any turn or mirroring shows."""
    picture = Image.new("RGB", size, WHITE)
    width, height = size[0] // 2, size[1] // 2
    for colour, place in ((RED, (0, 0)), (GREEN, (width, 0)), (BLUE, (0, height))):
        picture.paste(colour, (*place, place[0] + width, place[1] + height))
    return picture.convert(mode)


def encode(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def decode(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def colours(photo: CleanedPhoto) -> list[tuple[int, ...]]:
    """The colours of the four quarters: above left and right, below left and right."""
    picture = decode(photo.jpeg)
    places = [(x, y) for y in (1, 3) for x in (1, 3)]
    pixels = [picture.getpixel((picture.width * x // 4, picture.height * y // 4)) for x, y in places]
    return [pixel for pixel in pixels if isinstance(pixel, tuple)]


def near(found: list[tuple[int, ...]], expected: list[tuple[int, ...]]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(abs(one - other) <= TOLERANCE for a, b in pairs for one, other in zip(a, b, strict=True))


def refusal(data: bytes) -> PhotoFault:
    with pytest.raises(PhotoRefused) as caught:
        clean_photo(data)
    return caught.value.fault


def png(width: int, height: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG that claims this size and holds almost no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def secret_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SecretMaker"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (31.0, 12.0, 1.0)
    return exif


# ---------------------------------------------------------------- what is taken


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_the_picture_stays_what_it_was_and_its_digests_are_told(form: str) -> None:
    data = encode(corners(), form)
    photo = clean_photo(data)
    assert (photo.width, photo.height) == (96, 64)
    assert near(colours(photo), [RED, GREEN, BLUE, WHITE])
    assert photo.sha256 == sha256(photo.jpeg).hexdigest()
    assert photo.original_sha256 == sha256(data).hexdigest()
    assert (decode(photo.jpeg).format, decode(photo.thumbnail).format) == ("JPEG", "WEBP")


def test_heic_of_phones_is_read() -> None:
    photo = clean_photo((SAMPLES / "corners.heic").read_bytes())
    assert near(colours(photo), [RED, GREEN, BLUE, WHITE])
    assert b"SecretMaker" not in photo.jpeg


def with_transform(kind: bytes, value: int) -> bytes:
    """The HEIC sample with one more essential property (ISO 14496-12): `irot` turns it, `imir` mirrors it."""
    data = (SAMPLES / "corners.heic").read_bytes()
    places = {name: data.index(name) - 4 for name in (b"meta", b"iprp", b"ipco", b"ipma", b"iref")}
    box = struct.pack(">I4sB", 9, kind, value)
    head, count, indexes = (
        data[places[b"ipma"] + 4 : places[b"iref"] - 5],
        4,
        data[places[b"iref"] - 4 : places[b"iref"]],
    )
    ipma = head + bytes([count + 1]) + indexes + bytes([0x80 | count + 1])
    ipma = struct.pack(">I", 4 + len(ipma)) + ipma
    grown = bytearray(data[: places[b"ipma"]] + box + ipma + data[places[b"iref"] :])
    added = len(grown) - len(data)
    mdat = data.index(b"mdat") + 4
    offsets = [at for at in range(data.index(b"iloc"), places[b"iprp"]) if data[at : at + 4] == struct.pack(">I", mdat)]
    exif = struct.pack(">I", data.index(b"\0\0\0\x06Exif\0\0MM"))
    offsets += [at for at in range(data.index(b"iloc"), places[b"iprp"]) if data[at : at + 4] == exif]
    assert len(offsets) == 2
    for place, more in ((places[b"meta"], added), (places[b"iprp"], added), (places[b"ipco"], len(box))):
        grown[place : place + 4] = struct.pack(">I", struct.unpack_from(">I", grown, place)[0] + more)
    for place in offsets:
        grown[place : place + 4] = struct.pack(">I", struct.unpack_from(">I", grown, place)[0] + added)
    return bytes(grown)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (b"irot", 0, [RED, GREEN, BLUE, WHITE]),
        (b"irot", 1, [GREEN, WHITE, RED, BLUE]),
        (b"irot", 2, [WHITE, BLUE, GREEN, RED]),
        (b"irot", 3, [BLUE, RED, WHITE, GREEN]),
        (b"imir", 0, [BLUE, WHITE, RED, GREEN]),
        (b"imir", 1, [GREEN, RED, WHITE, BLUE]),
    ],
)
def test_heic_is_turned_by_its_own_properties_and_not_again_by_exif(
    kind: bytes, value: int, expected: list[tuple[int, ...]]
) -> None:
    """ISO 23008-12 6.5.10 and 6.5.12; the sample's Exif says 6, which a reader of HEIF must not follow."""
    assert near(colours(clean_photo(with_transform(kind, value))), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_of_any_orientation_comes_out_upright(orientation: int) -> None:
    to_stored = {
        1: None, 2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_90, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = corners() if to_stored is None else corners().transpose(to_stored)
    photo = clean_photo(encode(stored, "JPEG", quality=95, exif=secret_exif(orientation)))
    assert (photo.width, photo.height) == (96, 64)
    assert near(colours(photo), [RED, GREEN, BLUE, WHITE])


def test_broken_exif_does_not_cost_the_picture() -> None:
    exif = secret_exif().tobytes()
    data = encode(corners(), "JPEG", exif=exif).replace(exif[6:14], b"II*\0\xff\xff\xff\x7f")
    assert near(colours(clean_photo(data)), [RED, GREEN, BLUE, WHITE])


def test_nothing_but_pixels_survives() -> None:
    hidden = b"PK\x03\x04<script>alert(1)</script>"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(corners(), "JPEG", exif=secret_exif(), icc_profile=profile, comment=b"SecretComment") + hidden
    photo = clean_photo(data)
    for kept in (photo.jpeg, photo.thumbnail):
        assert not any(
            secret in kept for secret in (b"SecretMaker", b"SecretComment", b"script", b"PK\x03\x04", b"Exif")
        )
        assert dict(decode(kept).getexif()) == {}
        assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & decode(kept).info.keys()
    assert photo.jpeg.endswith(b"\xff\xd9")


def test_large_photos_are_made_smaller_and_small_ones_are_not_made_larger() -> None:
    photo = clean_photo(encode(corners((4000, 3000)), "JPEG"))
    assert (photo.width, photo.height) == (2048, 1536)
    assert decode(photo.thumbnail).size == (320, 240)
    assert decode(clean_photo(encode(corners((20, 10)), "PNG")).thumbnail).size == (20, 10)


def test_a_picture_that_is_too_large_for_the_peers_is_kept_at_a_lower_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = encode(Image.effect_noise((300, 300), 100).convert("RGB"), "PNG")
    full = len(clean_photo(noise).jpeg)
    monkeypatch.setattr(photo_cleaning, "PHOTO_BYTES_MAX", full - 1)
    assert len(clean_photo(noise).jpeg) < full
    monkeypatch.setattr(photo_cleaning, "PHOTO_BYTES_MAX", 100)
    assert refusal(noise) == PhotoFault.TOO_LARGE


@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1)])
def test_a_picture_of_any_shape_keeps_at_least_one_pixel(size: tuple[int, int]) -> None:
    photo = clean_photo(encode(Image.new("RGB", size, RED), "PNG"))
    assert min(photo.width, photo.height) == 1
    assert max(photo.width, photo.height) <= 2048


def test_the_same_photo_gives_the_same_bytes() -> None:
    data = encode(Image.effect_noise((300, 200), 60).convert("RGB"), "PNG")
    assert clean_photo(data) == clean_photo(data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_png_is_read(mode: str) -> None:
    picture = Image.new("L", (40, 40), 128).convert(mode) if mode != "I;16" else Image.new(mode, (40, 40), 128 * 256)
    level = decode(clean_photo(encode(picture, "PNG")).jpeg).convert("L").resize((1, 1)).getpixel((0, 0))
    assert isinstance(level, int | float)
    assert abs(level - 128) <= 4


def test_transparency_becomes_white_paper() -> None:
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    for data in (
        encode(clear, "PNG"),
        encode(clear, "WEBP"),
        encode(clear.convert("PA").convert("P"), "PNG", transparency=0),
    ):
        assert near(colours(clean_photo(data)), [WHITE] * 4)


def test_cmyk_of_printers_is_read() -> None:
    photo = clean_photo(encode(corners(mode="CMYK"), "JPEG", quality=95))
    assert near(colours(photo), [RED, GREEN, BLUE, WHITE])


def test_colours_of_another_profile_are_brought_to_srgb() -> None:
    # A profile whose red is what sRGB calls green.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    assert near(colours(clean_photo(encode(corners(), "PNG", icc_profile=swapped))), [GREEN, RED, BLUE, WHITE])


def test_a_broken_profile_does_not_cost_the_picture() -> None:
    photo = clean_photo(encode(corners(), "PNG", icc_profile=b"no profile"))
    assert near(colours(photo), [RED, GREEN, BLUE, WHITE])


def test_the_first_picture_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, GREEN)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert near(colours(clean_photo(data)), [RED] * 4)


def test_photos_of_one_scene_have_near_hashes_and_others_have_not() -> None:
    scenes = [Image.effect_noise((12, 9), 90 + seed).resize((800, 600)).convert("RGB") for seed in range(6)]
    hashes = [difference_hash(scene) for scene in scenes]
    for scene, original in zip(scenes, hashes, strict=True):
        again = clean_photo(encode(scene.resize((1200, 900)).point(lambda value: value * 0.8), "JPEG", quality=40))
        assert (again.dhash ^ original).bit_count() <= 10
    pairs = [(one, other) for place, one in enumerate(hashes) for other in hashes[:place]]
    assert all((one ^ other).bit_count() >= 14 for one, other in pairs)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, I am a text named photo.jpg",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        encode(Image.new("P", (4, 4)), "GIF"),
        encode(Image.new("RGB", (4, 4)), "TIFF"),
        encode(Image.new("RGB", (4, 4)), "BMP"),
        encode(Image.new("RGB", (16, 16)), "AVIF"),
        b"RIFF\x04\x00\x00\x00WAVE",
    ],
)
def test_what_is_no_photo_by_its_content_is_415(data: bytes) -> None:
    assert refusal(data) is PhotoFault.NOT_A_PICTURE


@pytest.mark.parametrize(
    "data",
    [
        bytes(UPLOAD_BYTES_MAX + 1),
        png(60_000, 60_000),
        png(7_072, 7_072),
        png(2**31 - 1, 2**31 - 1),
    ],
    ids=["bytes", "bomb", "just above", "overflow"],
)
def test_too_many_bytes_or_pixels_are_413_without_decoding(data: bytes) -> None:
    assert refusal(data) is PhotoFault.TOO_LARGE


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_photo_is_422(form: str) -> None:
    data = encode(Image.effect_noise((200, 200), 80).convert("RGB"), form)
    assert refusal(data[: len(data) // 2]) is PhotoFault.DAMAGED


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"\0\0\0\x18ftypheic" + bytes(60),
        (SAMPLES / "corners.heic").read_bytes()[:500],
        png(100, 100),
        png(4, 4, (b"zTXt", b"k\0\0" + zlib.compress(bytes(80 << 20)))),
    ],
)
def test_a_photo_that_cannot_be_decoded_to_its_end_is_422(data: bytes) -> None:
    assert refusal(data) is PhotoFault.DAMAGED


def seeds() -> dict[str, bytes]:
    picture = Image.effect_noise((48, 36), 70).convert("RGB")
    animated = encode(picture, "WEBP", save_all=True, append_images=[corners((48, 36))])
    return {
        "jpeg": encode(picture, "JPEG", exif=secret_exif(6)),
        "progressive": encode(picture.convert("CMYK"), "JPEG", progressive=True),
        "png": encode(corners((48, 36), "RGBA"), "PNG"),
        "palette": encode(picture.quantize(16), "PNG", transparency=3),
        "webp": encode(picture, "WEBP", exif=secret_exif(8)),
        "animated": animated,
        "heic": (SAMPLES / "corners.heic").read_bytes(),
    }


@pytest.mark.parametrize("name", seeds())
def test_a_mutated_photo_is_cleaned_or_refused_and_nothing_else(name: str) -> None:
    chance = random.Random(name)
    original = seeds()[name]
    outcomes = {True: 0, False: 0}
    for _ in range(120):
        data = mutate(original, chance)
        try:
            photo = clean_photo(data)
        except PhotoRefused:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
            assert decode(photo.jpeg).size == (photo.width, photo.height)
    assert outcomes[False] > 0


def mutate(original: bytes, chance: random.Random) -> bytes:
    data = bytearray(original)
    changes: list[Callable[[], None]] = [
        lambda: data.__setitem__(chance.randrange(len(data)), chance.randrange(256)),
        lambda: data.__delitem__(slice(chance.randrange(len(data)), None)),
        lambda: data.__setitem__(slice(chance.randrange(len(data)), 0), chance.randbytes(9)),
        lambda: data.extend(original[: chance.randrange(len(original))]),
    ]
    for _ in range(chance.randint(1, 8)):
        chance.choices(changes, weights=[20, 1, 3, 1])[0]()
        if not data:
            return bytes(original[:1])
    return bytes(data)


def test_every_real_photo_gives_a_good_picture(shared_data: Path) -> None:
    photos = sorted((shared_data / "photos").iterdir())
    assert len(photos) >= 15
    hashes: dict[str, int] = {}
    for path in photos:
        photo = clean_photo(path.read_bytes())
        hashes[path.stem] = photo.dhash
        assert max(photo.width, photo.height) <= 2048
        assert dict(decode(photo.jpeg).getexif()) == {}
    upright = [value for name, value in hashes.items() if name.startswith("landscape")]
    assert all((value ^ upright[0]).bit_count() <= 4 for value in upright)
