#!/bin/sh
# Signs with a key of Google Cloud KMS, for signCommand: docs/keys.md describes it.
#
#   gcp-kms.sh LOCATION KEYRING KEY VERSION
#
# Needs gcloud, and roles/cloudkms.signer for the key. gcloud computes the digest itself.
set -eu

case "$RECONCILER_SIGN_ALGORITHM" in
*256) digest=sha256 ;;
*384) digest=sha384 ;;
*512) digest=sha512 ;;
*) echo "no digest of gcloud is that of $RECONCILER_SIGN_ALGORITHM" >&2 && exit 1 ;;
esac
printf %s "$RECONCILER_SIGN_INPUT" |
	gcloud kms asymmetric-sign --location "$1" --keyring "$2" --key "$3" --version "$4" --digest-algorithm "$digest" \
		--input-file - --signature-file -
