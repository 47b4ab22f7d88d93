#!/usr/bin/env bash
# Installs exiftool, by which tests read exports back, on a Debian machine as root; elsewhere it says what is missing.
set -euo pipefail
if command -v exiftool >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Debian packages: libimage-exiftool-perl" >&2
    apt-get update -qq >/dev/null &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libimage-exiftool-perl >/dev/null &&
        exit 0
fi
echo "exiftool is missing (Debian: apt-get install libimage-exiftool-perl): its tests are skipped, or fail in CI." >&2
