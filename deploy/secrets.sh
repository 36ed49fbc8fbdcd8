#!/bin/sh
# Makes the files with the secrets of compose.yaml, in the folder that is named (secrets): those that are there stay.
# Only the folder's owner may enter it; the files themselves are read by users of the containers, who have other numbers.
set -eu
umask 077
folder=${1:-secrets}
mkdir -p "$folder"
cd "$folder"

made() { # 64 letters, digits, - and _
	head -c 48 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'
}

write() { # NAME VALUE: whole or not at all
	[ -s "$1" ] && return
	printf '%s\n' "$2" > "$1.new"
	chmod 444 "$1.new"
	mv "$1.new" "$1"
}

for name in secret_key jwt_signing_key postgres_password postgres_app_password valkey_password; do
	[ -s "$name" ] || write "$name" "$(made)"
done
write migration_database_url "postgres://brokerage:$(cat postgres_password)@postgres:5432/brokerage"
write database_url "postgres://brokerage_app:$(cat postgres_app_password)@postgres:5432/brokerage"
write redis_url "redis://:$(cat valkey_password)@valkey:6379/0"
