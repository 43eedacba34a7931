#!/bin/sh
# tokenizers.sh LIB_DIR BUILD_DIR: build libtokenizers.a with cargo from the Go
# module's own sources and what lies in tokenizers/ beside this: a guard round the
# calls that a file or a row could make panic, and the engine of chat templates.
# Their one git dependency, tiktoken-rs, is taken from crates.io; tokenizers/Cargo.lock
# pins every crate with its checksum.
set -eu
here=$(cd "$(dirname "$0")" && pwd)/tokenizers lib=$1 work=$2
fail() {
	echo "setup: error: $*" >&2
	exit 2
}
go mod download github.com/daulet/tokenizers
module=$(go list -m -f '{{.Dir}}' github.com/daulet/tokenizers)
crate=$module/crates/tokenizers
rm -rf "$work/src"
mkdir -p "$work" "$lib"
cp -r "$crate/src" "$work/src"
chmod -R u+w "$work"
cp "$here"/*.rs "$work/src"
cp "$here/Cargo.lock" "$work/Cargo.lock"

# Two functions of lib.rs get other names, for the guarded ones to take theirs.
sed -E -e '1i #![cfg_attr(feature = "bounded", feature(alloc_error_hook))]' \
	-e '/^#\[no_mangle\]$/{N;s/^#\[no_mangle\]\npub extern "C" fn tokenizers_(from_bytes|encode)\(/pub extern "C-unwind" fn inner_\1(/}' \
	-e '$a mod chat;\nmod guard;\nmod python;\nmod text;\nmod tokenize;' "$crate/src/lib.rs" >"$work/src/lib.rs"
test "$(grep -cE '^pub extern "C-unwind" fn inner_(from_bytes|encode)\(' "$work/src/lib.rs")" = 2 ||
	fail "want tokenizers_from_bytes and tokenizers_encode in $crate/src/lib.rs to put a guard round, got others: take the version of go.mod, or mend scripts/setup/tokenizers.sh"

sed -e 's/^tiktoken-rs = .*/tiktoken-rs = "=0.7.0"/' -e '/^\[dev-dependencies\]/,$d' "$crate/Cargo.toml" >"$work/Cargo.toml"
if ! grep -q '^tiktoken-rs = "=0.7.0"' "$work/Cargo.toml" || grep -q 'git = ' "$work/Cargo.toml"; then
	fail "want tiktoken-rs as the only git dependency of $crate/Cargo.toml, got something else"
fi
cat >>"$work/Cargo.toml" <<'END'
minijinja = { version = "=2.24.0", default-features = false, features = ["adjacent_loop_items", "builtins", "debug", "deserialization", "fuel", "loop_controls", "macros", "multi_template", "preserve_order", "serde", "std_collections"] }
minijinja-contrib = { version = "=2.24.0", default-features = false, features = ["pycompat"] }

[features]
bounded = []
END

# Memory is bounded by a function that Rust has not made stable. A compiler that
# has it no more, or in another form, builds the rest.
cd "$work"
if ! RUSTC_BOOTSTRAP=tokenizers_ffi cargo build --quiet --release --lib --locked --features bounded 2>bounded.log; then
	cargo build --quiet --release --lib --locked
	echo "setup: note: $(rustc --version) does not build the bound on memory: a tokenizer.json or a chat template that asks for more than there is, or nests without end, ends the process; see $work/bounded.log" >&2
fi
cd - >/dev/null
cp "$work/target/release/libtokenizers_ffi.a" "$lib/libtokenizers.a.part"
mv "$lib/libtokenizers.a.part" "$lib/libtokenizers.a"
