"""Private tables: what is not on the ledger and cannot be derived from it. Made by migrations.

Fields named `sealed_...` hold AES-256-GCM ciphertexts, fields named `..._hash` keyed hashes (vault.py). Nothing else
here tells who a person is.
"""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from server.storage.statements import table_of


class Person(Model):
    """A member as this organisation's own copy of the roll knows him. The id is the member's pseudonym."""

    member = fields.CharField(max_length=40, primary_key=True)
    identity_kind = fields.CharField(max_length=32)
    sealed_identity = fields.BinaryField()
    """The document's number with its middle masked: the whole number is kept nowhere."""
    sealed_name = fields.BinaryField()
    name_hash = fields.CharField(max_length=43)

    class Meta:
        table = "person"
        indexes = (("name_hash",),)


class PersonPhone(Model):
    """A phone number of a person: co-owners may share one, a person may have given two. Id `<member>/<phone hash>`."""

    id = fields.CharField(max_length=90, primary_key=True)
    member = fields.CharField(max_length=40)
    phone_hash = fields.CharField(max_length=43)
    sealed_phone = fields.BinaryField()

    class Meta:
        table = "person_phone"
        indexes = (("phone_hash",), ("member",))


class AddedPerson(Model):
    """A person whom an officer added by hand, with all that is known of him sealed: a new roster leaves him there."""

    member = fields.CharField(max_length=40, primary_key=True)
    sealed_details = fields.BinaryField()
    added_by = fields.CharField(max_length=40)
    added_ms = fields.BigIntField()

    class Meta:
        table = "added_person"


class Home(Model):
    """A home of the estate. Its room as written stays sealed: a unit id is a pseudonym too."""

    unit = fields.CharField(max_length=40, primary_key=True)
    sealed_room = fields.BinaryField()
    room_hash = fields.CharField(max_length=43)
    area_cm2 = fields.BigIntField()

    class Meta:
        table = "home"
        indexes = (("room_hash",),)


class Ownership(Model):
    """Who owns how much of a home. Id `<unit>/<member>`."""

    id = fields.CharField(max_length=90, primary_key=True)
    unit = fields.CharField(max_length=40)
    member = fields.CharField(max_length=40)
    share_numerator = fields.BigIntField()
    share_denominator = fields.BigIntField()

    class Meta:
        table = "ownership"
        indexes = (("unit",), ("member",))


class RollImport(Model):
    """A roster file that was read: `staged` until an officer applies it, then `active`, later `replaced`."""

    id = fields.CharField(max_length=32, primary_key=True)
    state = fields.CharField(max_length=16)
    sealed_lines = fields.BinaryField()
    lines = fields.BigIntField()
    root = fields.CharField(max_length=43)
    staged_ms = fields.BigIntField()
    applied_ms = fields.BigIntField()

    class Meta:
        table = "roll_import"
        indexes = (("state",),)


class Shop(Model):
    """The name of a merchant's shop, as this organisation shows it."""

    member = fields.CharField(max_length=40, primary_key=True)
    name = fields.CharField(max_length=100)

    class Meta:
        table = "shop"


class Attempt(Model):
    """A durable counter of tries (decisions 15). Its name holds no personal data."""

    id = fields.CharField(max_length=255, primary_key=True)
    tries = fields.BigIntField()
    forget_ms = fields.BigIntField()

    class Meta:
        table = "attempt"
        indexes = (("forget_ms",),)


class PhoneCode(Model):
    """The code last sent to a phone for a member: only its keyed hash. Id `<phone hash>/<member>`."""

    id = fields.CharField(max_length=90, primary_key=True)
    member = fields.CharField(max_length=40)
    phone_hash = fields.CharField(max_length=43)
    code_hash = fields.CharField(max_length=43)
    expires_ms = fields.BigIntField()

    class Meta:
        table = "phone_code"
        indexes = (("phone_hash",), ("expires_ms",))


class SessionFamily(Model):
    """A chain of refresh tokens of one sign-in at this node. Of the tokens only the newest one's number is kept."""

    id = fields.CharField(max_length=43, primary_key=True)
    member = fields.CharField(max_length=40)
    kid = fields.CharField(max_length=43)
    generation = fields.BigIntField()
    opened_ms = fields.BigIntField()
    rotated_ms = fields.BigIntField()
    expires_ms = fields.BigIntField()
    revoked = fields.BooleanField()

    class Meta:
        table = "session_family"
        indexes = (("kid",), ("expires_ms",))


class Opening(Model):
    """The private value behind a commitment. Id `<record>/<commitment>`: a copied commitment opens nothing.

    `height` is that of the block that ordered the record, -1 while none has, -2 when the value was forgotten.
    """

    id = fields.CharField(max_length=90, primary_key=True)
    sealed_opening = fields.BinaryField()
    height = fields.BigIntField()
    received_ms = fields.BigIntField()

    class Meta:
        table = "opening"
        indexes = (("height", "received_ms"),)


class Mended(Model):
    """One row: every opening of the blocks up to `height` is here, or was forgotten on purpose."""

    id = fields.BigIntField(primary_key=True, generated=False)
    height = fields.BigIntField()

    class Meta:
        table = "mended"


class Photo(Model):
    """A photo that this node keeps; its file lies in the photo store. `record` is empty until one is ordered."""

    sha256 = fields.CharField(max_length=64, primary_key=True)
    photo_bytes = fields.BigIntField()
    source = fields.CharField(max_length=40)
    kept_ms = fields.BigIntField()
    record = fields.CharField(max_length=43)

    class Meta:
        table = "photo"
        indexes = (("record", "kept_ms"),)


class PhotoUpload(Model):
    """Who uploaded a photo, and at whose node: one may come from several people. Id `<sha256>/<original>/<member>`."""

    id = fields.CharField(max_length=170, primary_key=True)
    sha256 = fields.CharField(max_length=64)
    original_sha256 = fields.CharField(max_length=64)
    member = fields.CharField(max_length=40)
    source = fields.CharField(max_length=40)
    photo_bytes = fields.BigIntField()
    uploaded_ms = fields.BigIntField()

    class Meta:
        table = "photo_upload"
        indexes = (("sha256",), ("member", "uploaded_ms"))


class WechatIdentity(Model):
    """A WeChat account tied to a member: only the keyed hash of its openid, and the openid sealed for messages."""

    openid_hash = fields.CharField(max_length=43, primary_key=True)
    member = fields.CharField(max_length=40)
    sealed_openid = fields.BinaryField()
    bound_ms = fields.BigIntField()

    class Meta:
        table = "wechat_identity"
        indexes = (("member",),)


class VaultCheck(Model):
    """A known text under this node's key: a wrong key file is noticed at start, not at the first resident."""

    name = fields.CharField(max_length=32, primary_key=True)
    sealed_text = fields.BinaryField()

    class Meta:
        table = "vault_check"


PERSON = table_of(Person)
PERSON_PHONE = table_of(PersonPhone)
ADDED_PERSON = table_of(AddedPerson)
HOME = table_of(Home)
OWNERSHIP = table_of(Ownership)
ROLL_IMPORT = table_of(RollImport)
SHOP = table_of(Shop)
ATTEMPT = table_of(Attempt)
PHONE_CODE = table_of(PhoneCode)
SESSION_FAMILY = table_of(SessionFamily)
OPENING = table_of(Opening)
MENDED = table_of(Mended)
PHOTO = table_of(Photo)
PHOTO_UPLOAD = table_of(PhotoUpload)
WECHAT_IDENTITY = table_of(WechatIdentity)
VAULT_CHECK = table_of(VaultCheck)
