"""Writing a picture: its format, its folder, and no half-written file."""

import io
import os
import tempfile
import warnings

PICTURES = ("svg", "png", "pdf")


def format_of(path, formats=PICTURES):
    """The format that a path's suffix stands for. Raises ValueError if it is not one of `formats`."""
    file_format = os.path.splitext(path)[1].lower().removeprefix(".")
    file_format = {"gv": "dot", "htm": "html"}.get(file_format, file_format)
    check_format(file_format, formats, path)
    return file_format


def check_format(file_format, formats=PICTURES, path=None):
    """Raise ValueError unless the format is one of `formats`."""
    if file_format not in formats:
        what = f"{path!r} ends in no known format" if path is not None else f"unknown format {file_format!r}"
        raise ValueError(f"{what}; pictures are written as .{', .'.join(formats[:-1])} or .{formats[-1]}")


def check_folder(path):
    """Raise the OSError that writing would raise, in one sentence and before any work is done."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.exists(folder):
        raise FileNotFoundError(f"cannot write {path}: there is no folder {folder}")
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"cannot write {path}: {folder} is not a folder")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write {path}: no permission to write in {folder}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"cannot write {path}: it is a folder")


def write_atomically(path, content):
    """Write bytes beside `path`, then move them there."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        _write_beside(path, folder, content)
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror or error}") from None


def _write_beside(path, folder, content):
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".viz-", suffix=os.path.splitext(path)[1])
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files; a picture is an ordinary one
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_figure(figure, path, *, dpi=144):
    """Write a matplotlib Figure to .svg, .png or .pdf; returns the path. The same figure gives the same bytes.

    Raises ValueError for another format, OSError for a folder that cannot be written to.
    """
    path = os.fspath(path)
    file_format = format_of(path)
    check_folder(path)
    write_atomically(path, figure_bytes(figure, file_format, dpi))
    return path


def figure_bytes(figure, file_format, dpi):
    """A Figure as bytes, without a date. Text in an SVG stays text: searchable, and small."""
    import matplotlib

    settings = {"svg.fonttype": "none", "svg.hashsalt": "viz", "pdf.fonttype": 42, "path.simplify": False}
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(file_format)
    buffer = io.BytesIO()
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # an emoji in a name: a box in a PNG is good enough
        figure.savefig(buffer, format=file_format, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
