"""Pictures as phones send them."""

from __future__ import annotations

import io

from PIL import Image


def jpeg(colour: str = "red", size: tuple[int, int] = (640, 480)) -> bytes:
    """A JPEG of one colour with an EXIF comment that must not survive."""
    picture = Image.new("RGB", size, colour)
    exif = picture.getexif()
    exif[0x010E] = "my home"
    data = io.BytesIO()
    picture.save(data, "JPEG", exif=exif)
    return data.getvalue()
