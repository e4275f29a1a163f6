"""Prior against current: lay one scan onto the other, pair the nodules, say how they changed and how sure that is."""
