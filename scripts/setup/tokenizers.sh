#!/bin/sh
# tokenizers.sh LIB_DIR BUILD_DIR: build libtokenizers.a with cargo from the Go
# module's own sources. Their one git dependency, tiktoken-rs, is taken from
# crates.io; tokenizers.lock pins every crate with its checksum.
set -eu
here=$(cd "$(dirname "$0")" && pwd) lib=$1 work=$2
go mod download github.com/daulet/tokenizers
crate=$(go list -m -f '{{.Dir}}' github.com/daulet/tokenizers)/crates/tokenizers
rm -rf "$work/src"
mkdir -p "$work" "$lib"
cp -r "$crate/src" "$work/src"
chmod -R u+w "$work"
sed -e 's/^tiktoken-rs = .*/tiktoken-rs = "=0.7.0"/' -e '/^\[dev-dependencies\]/,$d' "$crate/Cargo.toml" >"$work/Cargo.toml"
if ! grep -q '^tiktoken-rs = "=0.7.0"' "$work/Cargo.toml" || grep -q 'git = ' "$work/Cargo.toml"; then
	echo "setup: error: want tiktoken-rs as the only git dependency of $crate/Cargo.toml, got something else" >&2
	exit 2
fi
cp "$here/tokenizers.lock" "$work/Cargo.lock"
(cd "$work" && cargo build --quiet --release --lib --locked)
cp "$work/target/release/libtokenizers_ffi.a" "$lib/libtokenizers.a.part"
mv "$lib/libtokenizers.a.part" "$lib/libtokenizers.a"
