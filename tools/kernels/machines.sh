#!/bin/bash
# On which machines a kernel is tested: machines.sh 6.12
#
# What is otherwise on the second one is otherwise on every kernel: the oldest and the newest.
set -euo pipefail
case $1 in
5.10 | newest) echo 'plain variants' ;;
*) echo plain ;;
esac
