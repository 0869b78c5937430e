# The studio in a container, on a CPU or with CUDA:
#   docker build -t think2seg .                          docker run -p 7860:7860 think2seg
#   docker build -t think2seg --build-arg DEVICE=cuda .  docker run --gpus all -p 7860:7860 think2seg
# torch's own wheels bring CUDA along, so both stand on the same image; a CUDA host needs NVIDIA's container toolkit.
FROM python:3.12-slim-bookworm
ARG DEVICE=cpu

# rasterio's wheels look for the system's expat; everything else brings its own libraries.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 think2seg

USER think2seg
WORKDIR /home/think2seg/app
ENV PATH=/home/think2seg/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HOME=/home/think2seg/weights \
    GRADIO_TEMP_DIR=/tmp/think2seg \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860

COPY --chown=1000:1000 requirements.txt ./
RUN case "$DEVICE" in \
      cpu) pip install --user --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt ;; \
      cuda) pip install --user -r requirements.txt ;; \
      *) echo "DEVICE is cpu or cuda; it is $DEVICE." >&2; exit 1 ;; \
    esac

COPY --chown=1000:1000 app.py LICENSE ./
COPY --chown=1000:1000 think2seg ./think2seg
COPY --chown=1000:1000 assets/nano-prompter ./assets/nano-prompter
COPY --chown=1000:1000 assets/nano-segmenter ./assets/nano-segmenter
COPY --chown=1000:1000 assets/nano-fine-segmenter ./assets/nano-fine-segmenter
COPY --chown=1000:1000 assets/examples ./assets/examples
RUN mkdir -p /home/think2seg/weights

EXPOSE 7860
VOLUME /home/think2seg/weights
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/gradio_api/queue/status', timeout=4)"]
CMD ["python", "app.py"]
