#!/bin/sh
# Signs with a key of AWS KMS, for signCommand: docs/keys.md describes it.
#
#   aws-kms.sh KEY     its id, ARN or alias, such as alias/okta-aerial
#
# Needs the AWS CLI, and kms:Sign for the key.
set -eu

case "$RECONCILER_SIGN_ALGORITHM" in
RS256) algorithm=RSASSA_PKCS1_V1_5_SHA_256 ;;
RS384) algorithm=RSASSA_PKCS1_V1_5_SHA_384 ;;
RS512) algorithm=RSASSA_PKCS1_V1_5_SHA_512 ;;
ES256) algorithm=ECDSA_SHA_256 ;;
ES384) algorithm=ECDSA_SHA_384 ;;
ES512) algorithm=ECDSA_SHA_512 ;;
*) echo "no algorithm of KMS is $RECONCILER_SIGN_ALGORITHM" >&2 && exit 1 ;;
esac
exec aws kms sign --key-id "$1" --signing-algorithm "$algorithm" --message-type DIGEST --message fileb:///dev/stdin \
	--output text --query Signature
