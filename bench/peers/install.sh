#!/bin/sh
# Makes a virtual environment for each peer of bench/encoders.py: install.sh FOLDER
# nvidia-pytriton's wheel has a Python of Debian's kind built in: it needs /usr/bin/python3.
set -eu
for peer in mosec litserve bentoml ray triton; do
    case $peer in
    triton) python=/usr/bin/python3 package=nvidia-pytriton ;;
    ray) python=python3 package='ray[serve]' ;;
    *) python=python3 package=$peer ;;
    esac
    "$python" -m venv "$1/$peer"
    "$1/$peer/bin/pip" install --quiet "$package" onnxruntime tokenizers numpy msgspec
done
