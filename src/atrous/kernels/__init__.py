"""Operations that deserve a fast path, each with its plain reference."""
