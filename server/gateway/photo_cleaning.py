"""Turning the bytes of a stranger's photo into pictures of our own making. Runs in the workers of `photos` only.

Nothing of the original survives but its pixels: they are decoded, turned upright, brought to sRGB on white, made small
enough and encoded anew, so that place, time, camera, thumbnails, comments and whatever else was hidden in or behind the
file are gone. Knows no store, no asyncio, and nothing of who sent the photo.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

import pi_heif
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from server.limits import MIB, PHOTO_BYTES_MAX

UPLOAD_BYTES_MAX = 12 * MIB
"""The largest photos of current phones; the contract of POST /api/v1/photos."""
UPLOAD_PIXELS_MAX = 50_000_000
"""50 megapixel sensors are sold; decoded they take 200 MB, which a worker may have."""
LONG_SIDE_MAX = 2048
"""Enough to read a meter or a crack on a full screen, some 400 KB."""
THUMBNAIL_SIDE_MAX = 320
JPEG_QUALITIES = (80, 60, 40)
"""The first that keeps the picture within PHOTO_BYTES_MAX: at 80 pure noise of 2048 x 2048 pixels may take 4.0 MB."""
WEBP_QUALITY = 75
PROFILE_BYTES_MAX = MIB
"""Colour profiles of cameras have some kilobytes."""

_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""Exif 2.32, tag 0x0112: what brings a picture with that orientation upright."""
_ORIENTATION = 0x0112
_DECODER_FAULTS = (
    # What Pillow, libheif and libraries below were seen to raise for damaged and hostile files; none of it is promised.
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class PhotoFault(StrEnum):
    """Why a photo is refused: a stable code for the API."""

    TOO_LARGE = "photo_too_large"
    """413: more bytes or pixels than the limits."""
    NOT_A_PICTURE = "photo_not_readable"
    """415: not JPEG, PNG, WebP or HEIC by its content."""
    DAMAGED = "photo_damaged"
    """422: one of those, but it cannot be decoded to its end."""


class PhotoRefused(Exception):
    """A photo that is not taken; `fault` says why. It travels between processes, so it is built from its `args`."""

    def __init__(self, fault: PhotoFault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class CleanedPhoto:
    """A photo as it is kept: `jpeg` of `width` x `height`, a small WebP of it, and digests in lower-case hex.

    `dhash` is a 64-bit difference hash: photos of one scene differ in at most 10 bits, others in 14 and more.
    """

    jpeg: bytes
    thumbnail: bytes
    width: int
    height: int
    sha256: str
    original_sha256: str
    dhash: int


def clean_photo(data: bytes) -> CleanedPhoto:
    """Return the photo decoded and encoded anew; the same bytes give the same result with the same libraries.

    Raises: PhotoRefused, and nothing else but MemoryError, for any bytes at all.
    """
    picture = decode_photo(data, LONG_SIDE_MAX)
    jpeg = _encode_jpeg(picture)
    return CleanedPhoto(
        jpeg=jpeg,
        thumbnail=_encode_thumbnail(picture),
        width=picture.width,
        height=picture.height,
        sha256=sha256(jpeg).hexdigest(),
        original_sha256=sha256(data).hexdigest(),
        dhash=difference_hash(picture),
    )


def shrink(jpeg: bytes) -> bytes:
    """Return the small WebP of a photo that was cleaned before. Raises as `clean_photo` does."""
    return _encode_thumbnail(decode_photo(jpeg, LONG_SIDE_MAX))


def is_picture(data: bytes) -> bool:
    """Tell by the first bytes, whatever the name or the declared type, whether this is a kind of file that we read."""
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return True
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return True
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


def difference_hash(picture: Image.Image) -> int:
    """Return 64 bits: for an 8 x 8 grid whether each cell is darker than its right neighbour."""
    pixels = picture.convert("L").resize((9, 8), Resampling.LANCZOS).tobytes()
    bits = (pixels[9 * row + column] < pixels[9 * row + column + 1] for row in range(8) for column in range(8))
    return sum(bit << place for place, bit in enumerate(bits))


def decode_photo(data: bytes, long_side_max: int) -> Image.Image:
    """Return the upright RGB picture, at most `long_side_max` on its long side, holding pixels and nothing else.

    Raises: PhotoRefused, and nothing else but MemoryError, for any bytes at all.
    """
    if len(data) > UPLOAD_BYTES_MAX:
        raise PhotoRefused(PhotoFault.TOO_LARGE)
    if not is_picture(data):
        raise PhotoRefused(PhotoFault.NOT_A_PICTURE)
    with warnings.catch_warnings():
        # Pillow warns of what it can live with; a picture above the limit is refused below before it is decoded.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                return _read(picture, long_side_max)
        except Image.DecompressionBombError:
            raise PhotoRefused(PhotoFault.TOO_LARGE) from None
        except _DECODER_FAULTS:
            raise PhotoRefused(PhotoFault.DAMAGED) from None


def _read(picture: Image.Image, long_side_max: int) -> Image.Image:
    if picture.width * picture.height > UPLOAD_PIXELS_MAX:
        raise PhotoRefused(PhotoFault.TOO_LARGE)
    orientation = _read_orientation(picture)
    profile = picture.info.get("icc_profile")
    # A JPEG is decoded at a half, a quarter or an eighth where that is still larger than what we keep.
    picture.draft(None, (long_side_max, long_side_max))
    picture.load()
    small = _flatten(_shrink(_widen(picture), long_side_max))
    upright = small.transpose(_TURNS[orientation]) if orientation in _TURNS else small
    standard = _to_standard_colours(upright, profile)
    return Image.frombytes("RGB", standard.size, standard.tobytes())


def _read_orientation(picture: Image.Image) -> int:
    """Return the Exif orientation, 1 where there is none: a picture with broken Exif is still a picture."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except _DECODER_FAULTS:
        return 1


def _widen(picture: Image.Image) -> Image.Image:
    """Return the picture in a mode that can be scaled: palettes resolved, 16 bits brought to 8 by their upper byte."""
    if picture.mode.startswith("I"):
        return picture.point(lambda value: value * (1 / 256)).convert("L")
    if picture.mode in {"P", "PA"} or "transparency" in picture.info:
        return picture.convert("RGBA")
    return picture.convert("L") if picture.mode == "1" else picture


def _shrink(picture: Image.Image, long_side_max: int) -> Image.Image:
    picture.thumbnail((long_side_max, long_side_max), Resampling.LANCZOS, reducing_gap=2.0)
    return picture


def _flatten(picture: Image.Image) -> Image.Image:
    """Return the picture without transparency: on white, as paper is."""
    if not picture.has_transparency_data:
        return picture
    opaque = picture.convert("RGBA")
    paper = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(paper, opaque).convert("RGB")


def _to_standard_colours(picture: Image.Image, profile: object) -> Image.Image:
    """Return the picture in sRGB; one whose profile is missing, unreadable or for other colours is taken as it is."""
    if isinstance(profile, bytes) and len(profile) <= PROFILE_BYTES_MAX and picture.mode in {"RGB", "L", "CMYK"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, *_DECODER_FAULTS):
            return picture.convert("RGB")
        return converted or picture.convert("RGB")
    return picture.convert("RGB")


def _encode_jpeg(picture: Image.Image) -> bytes:
    for quality in JPEG_QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
        if file.tell() <= PHOTO_BYTES_MAX:
            return file.getvalue()
    raise PhotoRefused(PhotoFault.TOO_LARGE)


def _encode_thumbnail(picture: Image.Image) -> bytes:
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE_MAX, THUMBNAIL_SIDE_MAX), Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=WEBP_QUALITY, method=4)
    return file.getvalue()


pi_heif.register_heif_opener(thumbnails=False, aux_images=False, depth_images=False)
Image.MAX_IMAGE_PIXELS = UPLOAD_PIXELS_MAX
