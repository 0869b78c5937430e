"""Start the studio: `python app.py`, here and on Hugging Face Spaces alike. A door; all it knows is its options."""

import argparse

from think2seg.studio import build, serve

parser = argparse.ArgumentParser(description="Think2Seg in a browser.")
parser.add_argument("--prompter", default="auto", metavar="auto|NAME|DIR", help="the prompter to begin with")
parser.add_argument("--segmenter", default="auto", metavar="auto|NAME|DIR", help="the SAM 2 to begin with")
parser.add_argument("--host", metavar="ADDRESS", help="default: GRADIO_SERVER_NAME, else 127.0.0.1")
parser.add_argument("--port", type=int, help="default: GRADIO_SERVER_PORT, else 7860")
options = parser.parse_args() if __name__ == "__main__" else parser.parse_args([])

demo = build(default_prompter=options.prompter, default_segmenter=options.segmenter)

if __name__ == "__main__":
    serve(demo, host=options.host, port=options.port)
