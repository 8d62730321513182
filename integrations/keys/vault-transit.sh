#!/bin/sh
# Signs with a key of Vault's (or OpenBao's) transit engine, for signCommand: docs/keys.md
# describes it.
#
#   vault-transit.sh KEY [MOUNT]     the key's name, and where the engine is (transit)
#
# Needs the program vault, VAULT_ADDR, a token (VAULT_TOKEN, or an agent's), and update for
# MOUNT/sign/KEY.
set -eu

case "$RECONCILER_SIGN_ALGORITHM" in
*256) hash=sha2-256 ;;
*384) hash=sha2-384 ;;
*512) hash=sha2-512 ;;
*) echo "no hash of Vault is that of $RECONCILER_SIGN_ALGORITHM" >&2 && exit 1 ;;
esac
# The algorithm is for RSA alone; an EC key takes no notice of it.
base64 | tr -d '\n' |
	vault write -field=signature "${2:-transit}/sign/$1/$hash" input=- prehashed=true signature_algorithm=pkcs1v15
