"""Language models behind servers that speak the OpenAI chat protocol, and how they are asked."""
