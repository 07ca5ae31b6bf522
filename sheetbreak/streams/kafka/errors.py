"""Errors of kafka-python, each mapped to the decision that it calls for; the only place where they are."""

import re
from enum import Enum
from typing import Any

from kafka import errors as kafka_errors

from sheetbreak.errors import DataError, SheetbreakError, StreamFenced, StreamLost, StreamUnavailable


class Decision(Enum):
    """What to do about an error of Kafka's."""

    UNAVAILABLE = "the broker is away or busy: the same again"
    LOST = "new clients, back to what was committed"
    FENCED = "another has our id, or our transaction timed out"
    REFUSED = "the user must change something"


_BY_DECISION = {
    # Their subclasses come with the base: kafka-python says by it that the same request may succeed later.
    Decision.UNAVAILABLE: """
        RetriableError BrokerNotAvailableError ThrottlingQuotaExceededError QuotaViolationError
        """,
    Decision.FENCED: """
        ProducerFencedError InvalidProducerEpochError FencedInstanceIdError UnreleasedInstanceIdError
        """,
    Decision.REFUSED: """
        AuthorizationError SaslAuthenticationFailedError UnsupportedSaslMechanismError
        IllegalSaslStateError SecurityDisabledError UnacceptableCredentialError
        PrincipalDeserializationFailureError DelegationTokenAuthDisabledError DelegationTokenNotFoundError
        DelegationTokenOwnerMismatchError DelegationTokenRequestNotAllowedError
        DelegationTokenExpiredError InvalidPrincipalTypeError KafkaConfigurationError IllegalArgumentError
        UnsupportedCodecError UnrecognizedBrokerVersion UnsupportedVersionError IncompatibleBrokerVersion
        UnsupportedForMessageFormatError UnsupportedCompressionTypeError UnsupportedAssignorError
        UnsupportedEndpointTypeError InvalidTopicError InvalidPartitionsError
        InvalidReplicationFactorError InvalidReplicationAssignmentError InvalidConfigurationError
        PolicyViolationError TopicDeletionDisabledError InvalidRequiredAcksError InvalidRecordError
        InvalidTimestampError InvalidGroupIdError InvalidSessionTimeoutError
        InvalidTransactionTimeoutError InvalidCommitOffsetSizeError OffsetMetadataTooLargeError
        InconsistentGroupProtocolError GroupMaxSizeReachedError InvalidRequestError
        NoOffsetForPartitionError
        """,
    Decision.LOST: """
        CommitFailedError IllegalGenerationError UnknownMemberIdError RebalanceInProgressError
        MemberIdRequiredError StaleMemberEpochError FencedMemberEpochError TransactionAbortedError
        TransactionAbortableError OutOfOrderSequenceNumberError DuplicateSequenceNumberError
        UnknownProducerIdError InvalidProducerIdMappingError InvalidTxnStateError
        TransactionalIdNotFoundError TransactionCoordinatorFencedError IllegalStateError
        LogTruncationError OffsetOutOfRangeError CorruptRecordError PositionOutOfRangeError
        OffsetMovedToTieredStorageError UnknownError UnknownBrokerIdError KafkaProtocolError
        InvalidReceiveError UnknownTopicOrPartitionError InvalidFetchRequestError MessageSizeTooLargeError
        RecordListTooLargeError
        """,
}
# UnknownTopicOrPartition and MessageSizeTooLarge are LOST because new clients check the topics and their
# limits again: the first then ends with the command that mends it, the second with a record that is cut.

_NEVER = """
    NoError StaleControllerEpochError LogDirNotFoundError OperationNotAttemptedError
    ReassignmentInProgressError NonEmptyGroupError GroupIdNotFoundError TopicAlreadyExistsError
    StaleBrokerEpochError NoReassignmentInProgressError GroupSubscribedToTopicError ResourceNotFoundError
    DuplicateResourceError InconsistentVoterSetError InvalidUpdateVersionError FeatureUpdateFailedError
    SnapshotNotFoundError DuplicateBrokerRegistrationError BrokerIdNotRegisteredError
    InconsistentClusterIdError IneligibleReplicaError NewLeaderElectedError MismatchedEndpointTypeError
    UnknownControllerIdError UnknownSubscriptionIdError TelemetryTooLargeError InvalidRegistrationError
    InvalidRecordStateError FencedStateEpochError InvalidVoterKeyError DuplicateVoterError
    VoterNotFoundError
    """
"""Answers to requests that we never send (controllers, voters, share groups, quotas)."""

DECISIONS: dict[Any, Decision] = {
    getattr(kafka_errors, name): decision for decision, names in _BY_DECISION.items() for name in names.split()
} | {getattr(kafka_errors, name): Decision.LOST for name in _NEVER.split()}
"""By class; one that is not here is decided by its nearest base."""


def meant(error: BaseException) -> type[BaseException]:
    """The class that an error means: kafka-python wraps an answer that it does not expect in a plain KafkaError,
    "Unexpected error in InitProducerIdResponse: [Error 50] InvalidTransactionTimeoutError".
    """
    found = _WRAPPED.search(str(error)) if type(error) is kafka_errors.KafkaError else None
    kind: type[BaseException] = kafka_errors.for_code(int(found[1])) if found else type(error)
    return kind


def decide(error: BaseException) -> Decision:
    """The decision for one of kafka-python's errors.

    Plain KafkaError, which occurs ("… in an error state"), and a class that this table does not know are
    LOST: starting again from what was committed is right whatever it was.
    """
    return next((DECISIONS[base] for base in meant(error).__mro__ if base in DECISIONS), Decision.LOST)


_WRAPPED = re.compile(r"\[Error (\d+)\]")
_REMEDIES = {
    "InvalidTransactionTimeoutError": "the broker allows shorter transactions only (its transaction.max.timeout.ms); "
    "give a smaller --transaction-timeout",
    "InvalidSessionTimeoutError": "the broker allows sessions of group.min.session.timeout.ms to "
    "group.max.session.timeout.ms; give another --session-timeout",
    "TopicAuthorizationFailedError": "the user lacks a right on this topic: READ and DESCRIBE on the input and the "
    "state, WRITE on the state and the outputs",
    "GroupAuthorizationFailedError": "the user lacks the right READ on this group",
    "TransactionalIdAuthorizationFailedError": "the user lacks the right WRITE on this transactional id",
    "ClusterAuthorizationFailedError": "the user lacks a right on the cluster (IDEMPOTENT_WRITE on old brokers)",
    "SaslAuthenticationFailedError": "the broker refuses the user or the password: SHEETBREAK_KAFKA_SASL_USERNAME, "
    "SHEETBREAK_KAFKA_SASL_PASSWORD",
    "IllegalSaslStateError": "this port takes no SASL login: SHEETBREAK_KAFKA_SECURITY_PROTOCOL, or another port",
    "UnsupportedSaslMechanismError": "the broker does not take this SHEETBREAK_KAFKA_SASL_MECHANISM",
    "InvalidTimestampError": "the clock of this host is too far from the broker's; set it, or run sheetbreak topics "
    "create, after which the broker stamps the records (message.timestamp.type=LogAppendTime)",
    "InconsistentGroupProtocolError": "another program is in this group, with another assignor or group protocol; "
    "give the monitors a --group of their own",
    "GroupMaxSizeReachedError": "the group is full (group.max.size); run fewer monitors",
    "UnsupportedCodecError": "a library for this compression is missing: pip install 'sheetbreak[kafka]'",
}
"""What to do about an error that Kafka refuses us with, by its class."""
_USUAL_REMEDY = "check the options, SHEETBREAK_KAFKA_* and its ACLs"


def stream_error(error: BaseException, doing: str) -> SheetbreakError:
    """Our error for one of kafka-python's; the caller raises it `from` that one."""
    name, text = meant(error).__name__, str(error)
    message = f"{doing}: {text}" if name in text else f"{doing}: {name}: {text}"
    match decide(error):
        case Decision.UNAVAILABLE if isinstance(error, kafka_errors.UnstableOffsetCommitError):
            return StreamUnavailable(f"{message}; a transaction that has not ended holds the group's offsets back")
        case Decision.UNAVAILABLE:
            return StreamUnavailable(f"{message}; is the broker there?")
        case Decision.FENCED:
            return StreamFenced(f"{message}; does another monitor run under our --instance-id?")
        case Decision.REFUSED:
            return DataError(f"{message}; Kafka refuses this: {_REMEDIES.get(name, _USUAL_REMEDY)}")
        case Decision.LOST:
            return StreamLost(message)
