"""Voice: activity, pitch, log-mel, embedding, speakers, transcript, and what they suffice for."""
