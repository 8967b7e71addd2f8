# shellcheck shell=bash
# Sourced by the scripts in tests/.

# Installs those of these Debian packages that are missing; says how to, if we are not root.
install_missing() { # package…
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>&1)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local install=(apt-get install -y --no-install-recommends "${missing[@]}")
    if [ "$(id -u)" != 0 ]; then
        echo "FAILED: packages are missing: sudo ${install[*]}" >&2
        return 1
    fi
    apt-get update
    DEBIAN_FRONTEND=noninteractive "${install[@]}"
}
