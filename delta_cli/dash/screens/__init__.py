"""The six tabs, and the dialogs over them: a file each."""
