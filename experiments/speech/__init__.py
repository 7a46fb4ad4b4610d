"""Which stretch of sound a word was heard in, by Whisper's attention; see docs/studies/speech.md."""
