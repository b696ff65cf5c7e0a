"""Which of several sources to ask for which chunks next, when they have an image or parts of it.

Rules alone: who carries them out tells what came and when, and asks what to do.
"""
