import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Channel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_UNSPECIFIED: _ClassVar[Channel]
    CHANNEL_MOBILE: _ClassVar[Channel]
    CHANNEL_WEB: _ClassVar[Channel]
    CHANNEL_CRM: _ClassVar[Channel]

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_PRODUCT: _ClassVar[Kind]
    KIND_OFFER: _ClassVar[Kind]

class Locale(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOCALE_UNSPECIFIED: _ClassVar[Locale]
    LOCALE_EN: _ClassVar[Locale]
    LOCALE_RU: _ClassVar[Locale]

class Tier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIER_UNSPECIFIED: _ClassVar[Tier]
    TIER_PERSONAL: _ClassVar[Tier]
    TIER_SEGMENT: _ClassVar[Tier]
    TIER_POPULAR: _ClassVar[Tier]
    TIER_STATIC: _ClassVar[Tier]

class Variant(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VARIANT_UNSPECIFIED: _ClassVar[Variant]
    VARIANT_PERSONAL: _ClassVar[Variant]
    VARIANT_SEGMENT: _ClassVar[Variant]
    VARIANT_UPLIFT: _ClassVar[Variant]
    VARIANT_CHALLENGER: _ClassVar[Variant]

class Family(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAMILY_UNSPECIFIED: _ClassVar[Family]
    FAMILY_LOAN: _ClassVar[Family]
    FAMILY_CARD: _ClassVar[Family]
    FAMILY_DEPOSIT: _ClassVar[Family]
    FAMILY_SAVINGS: _ClassVar[Family]
    FAMILY_PREMIUM: _ClassVar[Family]
    FAMILY_INVESTMENT: _ClassVar[Family]
    FAMILY_CASHBACK: _ClassVar[Family]
    FAMILY_MORTGAGE: _ClassVar[Family]
    FAMILY_INSURANCE: _ClassVar[Family]

class FeedbackType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEEDBACK_TYPE_UNSPECIFIED: _ClassVar[FeedbackType]
    FEEDBACK_TYPE_CLICK: _ClassVar[FeedbackType]
    FEEDBACK_TYPE_DISMISS: _ClassVar[FeedbackType]
    FEEDBACK_TYPE_PURCHASE: _ClassVar[FeedbackType]
CHANNEL_UNSPECIFIED: Channel
CHANNEL_MOBILE: Channel
CHANNEL_WEB: Channel
CHANNEL_CRM: Channel
KIND_UNSPECIFIED: Kind
KIND_PRODUCT: Kind
KIND_OFFER: Kind
LOCALE_UNSPECIFIED: Locale
LOCALE_EN: Locale
LOCALE_RU: Locale
TIER_UNSPECIFIED: Tier
TIER_PERSONAL: Tier
TIER_SEGMENT: Tier
TIER_POPULAR: Tier
TIER_STATIC: Tier
VARIANT_UNSPECIFIED: Variant
VARIANT_PERSONAL: Variant
VARIANT_SEGMENT: Variant
VARIANT_UPLIFT: Variant
VARIANT_CHALLENGER: Variant
FAMILY_UNSPECIFIED: Family
FAMILY_LOAN: Family
FAMILY_CARD: Family
FAMILY_DEPOSIT: Family
FAMILY_SAVINGS: Family
FAMILY_PREMIUM: Family
FAMILY_INVESTMENT: Family
FAMILY_CASHBACK: Family
FAMILY_MORTGAGE: Family
FAMILY_INSURANCE: Family
FEEDBACK_TYPE_UNSPECIFIED: FeedbackType
FEEDBACK_TYPE_CLICK: FeedbackType
FEEDBACK_TYPE_DISMISS: FeedbackType
FEEDBACK_TYPE_PURCHASE: FeedbackType

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "channel", "top_k", "kind", "locale", "families", "exclude", "context")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    FAMILIES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    channel: Channel
    top_k: int
    kind: Kind
    locale: Locale
    families: _containers.RepeatedScalarFieldContainer[Family]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    context: Context
    def __init__(self, user_id: _Optional[int] = ..., channel: _Optional[_Union[Channel, str]] = ..., top_k: _Optional[int] = ..., kind: _Optional[_Union[Kind, str]] = ..., locale: _Optional[_Union[Locale, str]] = ..., families: _Optional[_Iterable[_Union[Family, str]]] = ..., exclude: _Optional[_Iterable[str]] = ..., context: _Optional[_Union[Context, _Mapping]] = ...) -> None: ...

class Context(_message.Message):
    __slots__ = ("screen", "placement", "search", "cart", "basket_product")
    SCREEN_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    CART_FIELD_NUMBER: _ClassVar[int]
    BASKET_PRODUCT_FIELD_NUMBER: _ClassVar[int]
    screen: str
    placement: str
    search: str
    cart: _containers.RepeatedScalarFieldContainer[str]
    basket_product: str
    def __init__(self, screen: _Optional[str] = ..., placement: _Optional[str] = ..., search: _Optional[str] = ..., cart: _Optional[_Iterable[str]] = ..., basket_product: _Optional[str] = ...) -> None: ...

class FeedbackRequest(_message.Message):
    __slots__ = ("rec_id", "user_id", "event_type", "timestamp", "attributes", "idempotency_key")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REC_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    rec_id: str
    user_id: int
    event_type: FeedbackType
    timestamp: _timestamp_pb2.Timestamp
    attributes: _containers.ScalarMap[str, str]
    idempotency_key: str
    def __init__(self, rec_id: _Optional[str] = ..., user_id: _Optional[int] = ..., event_type: _Optional[_Union[FeedbackType, str]] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attributes: _Optional[_Mapping[str, str]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("status", "id", "is_expired")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    IS_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    status: str
    id: str
    is_expired: bool
    def __init__(self, status: _Optional[str] = ..., id: _Optional[str] = ..., is_expired: _Optional[bool] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "text")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    code: int
    text: str
    def __init__(self, code: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Recommendation(_message.Message):
    __slots__ = ("product_id", "product_name", "kind", "family", "score", "tier", "reasons")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    product_name: str
    kind: Kind
    family: Family
    score: float
    tier: Tier
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    def __init__(self, product_id: _Optional[str] = ..., product_name: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ..., family: _Optional[_Union[Family, str]] = ..., score: _Optional[float] = ..., tier: _Optional[_Union[Tier, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ...) -> None: ...

class Experiment(_message.Message):
    __slots__ = ("name", "arm")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    name: str
    arm: str
    def __init__(self, name: _Optional[str] = ..., arm: _Optional[str] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("rec_id", "user_id", "timestamp", "snapshot_id", "snapshot_age_s", "tier", "variant", "experiment", "policy_hash", "recommendations")
    REC_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_AGE_S_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    POLICY_HASH_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDATIONS_FIELD_NUMBER: _ClassVar[int]
    rec_id: str
    user_id: int
    timestamp: _timestamp_pb2.Timestamp
    snapshot_id: str
    snapshot_age_s: int
    tier: Tier
    variant: Variant
    experiment: Experiment
    policy_hash: str
    recommendations: _containers.RepeatedCompositeFieldContainer[Recommendation]
    def __init__(self, rec_id: _Optional[str] = ..., user_id: _Optional[int] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., snapshot_id: _Optional[str] = ..., snapshot_age_s: _Optional[int] = ..., tier: _Optional[_Union[Tier, str]] = ..., variant: _Optional[_Union[Variant, str]] = ..., experiment: _Optional[_Union[Experiment, _Mapping]] = ..., policy_hash: _Optional[str] = ..., recommendations: _Optional[_Iterable[_Union[Recommendation, _Mapping]]] = ...) -> None: ...
