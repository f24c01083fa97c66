#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what Debian's golang images lack of what the Makefile asks for. The pipelines call it before make.
set -eu
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends python3-venv
