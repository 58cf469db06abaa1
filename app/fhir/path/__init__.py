"""FHIRPath: expressions compiled to closures and run on plain dicts with the definitions' types. http://hl7.org/fhirpath/N1/ and http://hl7.org/fhir/R4/fhirpath.html"""
from app.fhir.path.compiler import Expression, compile
from app.fhir.path.evaluation import Evaluation
from app.fhir.path.node import Node
from app.fhir.path.syntax import BadExpression

__all__ = ["BadExpression", "Evaluation", "Expression", "Node", "compile"]
