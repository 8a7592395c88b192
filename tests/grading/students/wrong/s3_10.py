import numpy as np
from numpy import tanh, exp, log

def init_params(nx, nh, ny):
    W1 = np.random.normal(0, .3, (nh, nx)); W2 = np.random.normal(0, .3, (ny, nh))
    return dict(Wh=W1, Wy=W2, bh=np.zeros((nh, 1)), by=np.zeros((ny, 1)))

def forward(params, X):
    out = dict(X=X)
    out['htilde'] = X @ params['Wh'].T + params['bh'].reshape(1, -1)
    out['h'] = tanh(out['htilde'])
    out['ytilde'] = out['h'] @ params['Wy'].T + params['by'].reshape(1, -1)
    out['yhat'] = np.array([exp(row) / exp(row).sum() for row in out['ytilde']])
    return out['yhat'], out

def loss_accuracy(Yhat, Y):
    L = -(log(Yhat) * Y).sum(axis=1).mean()
    acc = 100. * (Yhat.argmax(1) == Y.argmax(1)).mean()
    return L, acc

def backward(params, outputs, Y):
    N = Y.shape[0]
    eps_y = (outputs['yhat'] - Y) * (1 / N)
    eps_h = (eps_y @ params['Wy']) / np.cosh(outputs['htilde']) ** 2
    return dict(Wh=eps_h.T @ outputs['X'], Wy=eps_y.T @ outputs['h'],
                bh=eps_h.sum(0, keepdims=True).T, by=eps_y.sum(0, keepdims=True).T)

def sgd(params, grads, eta):
    weights = [k for k in params if k.startswith('W')]
    for k in weights:
        params[k] = params[k] - eta * grads[k]
    return params
