# SPDX-License-Identifier: Apache-2.0
"""Robot Framework keywords of Wolfpack's tests.

Each library drives the real commands (kubectl, govc, wolfpack) of one lab and fails with the command, its output and what
was expected. ``command`` and ``waiting`` are what they are made of; ``lab`` says which lab it is.
"""
